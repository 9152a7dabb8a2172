import type { TCPSocketListener } from "bun";
import { type Address, formatEndpoint, MAPPED, parseAddress } from "../../rules/address.ts";
import type { Clock } from "../../rules/clock.ts";
import { REFUSED, TcpRules } from "../../rules/tcp.ts";
import { sessionDescriptorsMax } from "../descriptors.ts";
import type { LoopStart, SessionEnd } from "../loop.ts";
import { descriptorOf } from "./bind.ts";
import type { Connection } from "./connections.ts";
import { describeListener, listenTcp } from "./listen.ts";
import type { Session } from "./session.ts";
import { TcpSessions } from "./tcp-sessions.ts";

/** A cut session that has the server's FIN may take this long to send its own. */
const LINGER_MS = 1000;

/** Time for a turn of the event loop, in which all that had arrived by then is handled. */
const TURN_MS = 10;

const NOWHERE: Address = { a0: 0, a1: 0, a2: MAPPED, a3: 0 };

/** TCP on Bun's sockets: who comes in, and how all of it ends. What happens in between is told by `TcpSessions`. */
export class BunTcp {
  readonly rules: TcpRules;
  readonly #start: LoopStart;
  readonly #clock: Clock;
  readonly #sessions: TcpSessions;
  readonly #descriptorsMax: number;
  readonly #logged: boolean;
  #listeners: TCPSocketListener<Session | null>[] = [];
  /** The latest local address as text and as words: most hosts have very few. */
  #localText = "";
  #local = NOWHERE;
  #draining = false;
  #cutting = false;
  readonly #timers: Timer[] = [];

  constructor(start: LoopStart, clock: Clock, onSessionEnd: ((end: SessionEnd) => void) | null) {
    this.#start = start;
    this.#clock = clock;
    this.#logged = onSessionEnd !== null;
    this.#descriptorsMax = sessionDescriptorsMax(start.settings);
    const slots = Math.min(start.settings.maxTcpSessions, this.#descriptorsMax);
    this.rules = new TcpRules(start.settings, start.tables, start.index, slots, clock);
    this.#sessions = new TcpSessions(this.rules, clock, start.settings.maxQueuedBytes, onSessionEnd);
  }

  /** Listens; resolves to the addresses. Throws StartError. */
  async listen(port: number): Promise<string[]> {
    const { settings, shared } = this.#start;
    const { hosts, maxQueuedBytes } = settings;
    const handlers = { ...this.#sessions.handlers, open: (socket: Connection) => this.#open(socket) };
    const listening = { hosts, port, shared, maxQueuedBytes, handlers, data: null };
    this.#listeners = await listenTcp<Session | null>(listening);
    return this.#listeners.map(describeListener);
  }

  /** A connection was accepted. */
  #open(socket: Connection): void {
    if (descriptorOf(socket) >= this.#descriptorsMax) {
      this.rules.countRefusal("no_descriptors");
      socket.terminate();
      return;
    }
    this.#clock.tick();
    // Both ends are read now: once the connection is closed, Bun does not know them any more.
    // Of a client that has reset its connection before it was accepted, it has none: no session, and no fault.
    const { localAddress, localPort, remoteAddress, remotePort }: Partial<Connection> = socket;
    if (
      localAddress === undefined ||
      localPort === undefined ||
      remoteAddress === undefined ||
      remotePort === undefined
    ) {
      socket.terminate();
      return;
    }
    const local = this.#localEnd(localAddress);
    const peer = parseAddress(remoteAddress) ?? NOWHERE;
    // Where no slot is left, the cap of sessions is reached, and the rules refuse before they look at the slot.
    const slot = this.#sessions.nextSlot();
    const phase = this.rules.open(slot, peer, remotePort, local, localPort);
    if (phase === REFUSED) {
      socket.terminate();
      return;
    }
    const ends = this.#logged
      ? { client: formatEndpoint(peer, remotePort), server: formatEndpoint(local, localPort) }
      : null;
    this.#sessions.begin(socket, slot, phase, ends);
  }

  #localEnd(text: string): Address {
    if (text !== this.#localText) {
      this.#local = parseAddress(text) ?? NOWHERE;
      this.#localText = text;
    }
    return this.#local;
  }

  /** To be called once per tick of the loop's clock. */
  tick(): void {
    this.rules.sweep(this.#sessions);
  }

  /** Handles those that the kernel has already let in, which takes a turn of the loop, then accepts no more. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#sessions.drain();
    this.#after(TURN_MS, () => this.#stopListening());
  }

  #stopListening(): void {
    for (const listener of this.#listeners) listener.stop(false);
    this.#listeners = [];
  }

  /** Ends every session: what has come until now is echoed, what is owed is flushed, then FIN. */
  cut(): void {
    if (this.#cutting) return;
    this.#cutting = true;
    this.#after(TURN_MS, () => this.#sessions.cut());
    this.#after(TURN_MS + LINGER_MS, () => this.#sessions.abort());
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms));
  }

  /** Closes everything. Resolves when no connection is open. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stopListening();
    this.#sessions.abort();
    await this.#sessions.empty();
  }
}
