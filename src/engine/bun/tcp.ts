import type { TCPSocketListener } from "bun";
import { type Address, MAPPED, parseAddress } from "../../net/address.ts";
import { type Endpoint, endpointOf } from "../../net/endpoint.ts";
import { REFUSED, TcpRules } from "../../rules/tcp.ts";
import type { Clock } from "../../state/clock.ts";
import { sessionDescriptorsMax } from "../descriptors.ts";
import type { BunLoopStart } from "../loop.ts";
import { descriptorOf } from "./bind.ts";
import type { Connection } from "./connections.ts";
import { adoptTcp, listenTcp } from "./listen.ts";
import type { Session } from "./session.ts";
import { type BunTcpEvents, TcpSessions } from "./tcp-sessions.ts";

/** Time for a turn of the event loop, in which all that had arrived by then is handled. */
const TURN_MS = 10;

const NOWHERE: Address = { a0: 0, a1: 0, a2: MAPPED, a3: 0 };

/** TCP on Bun's sockets: who comes in, and how all of it ends. What happens in between is told by `TcpSessions`. */
export class BunTcp {
  readonly rules: TcpRules;
  readonly #start: BunLoopStart;
  readonly #clock: Clock;
  readonly #sessions: TcpSessions;
  readonly #descriptorsMax: number;
  #listeners: TCPSocketListener<Session | null>[] = [];
  /** The latest local address as text and as words: most hosts have very few. */
  #localText = "";
  #local = NOWHERE;
  #draining = false;
  #cutting = false;
  readonly #timers: Timer[] = [];

  constructor(start: BunLoopStart, clock: Clock, events: BunTcpEvents) {
    this.#start = start;
    this.#clock = clock;
    this.#descriptorsMax = sessionDescriptorsMax(start.settings);
    const slots = Math.min(start.settings.maxTcpSessions, this.#descriptorsMax);
    this.rules = new TcpRules(start.settings, start.tables, start.index, slots, clock);
    this.#sessions = new TcpSessions(this.rules, clock, slots, start.settings.maxQueuedBytes, events);
  }

  /** Listens; resolves to the addresses. Throws StartError. */
  async listen(port: number): Promise<Endpoint[]> {
    const { settings, sockets } = this.#start;
    const { hosts, maxQueuedBytes } = settings;
    const handlers = { ...this.#sessions.handlers, open: (socket: Connection) => this.#open(socket) };
    const listening = { maxQueuedBytes, handlers, data: null };
    if (sockets === null) {
      this.#listeners = await listenTcp<Session | null>(hosts, port, listening);
      return this.#listeners.map((listener) => endpointOf(listener.hostname, listener.port)!);
    }
    for (const socket of sockets.tcp) this.#listeners.push(await adoptTcp<Session | null>(socket, listening));
    return [...sockets.tcp];
  }

  /** A connection was accepted. */
  #open(socket: Connection): void {
    this.#clock.tick();
    // Both ends are read now: once the connection is closed, Bun does not know them any more.
    // Of a client that has reset its connection before it was accepted, it has none: no session can begin.
    const { localAddress, localPort, remoteAddress, remotePort }: Partial<Connection> = socket;
    if (
      localAddress === undefined ||
      localPort === undefined ||
      remoteAddress === undefined ||
      remotePort === undefined
    ) {
      this.rules.countRefusal("gone");
      socket.terminate();
      return;
    }
    const local = this.#localEnd(localAddress);
    const peer = parseAddress(remoteAddress) ?? NOWHERE;
    if (this.rules.openProbe(peer, remotePort, local, localPort)) {
      this.#sessions.probes.begin(socket, this.rules.banner.bytes.slice(0, this.rules.bannerLength));
      return;
    }
    if (descriptorOf(socket) >= this.#descriptorsMax) {
      this.rules.countRefusal("no_descriptors");
      socket.terminate();
      return;
    }
    // Where no slot is left, the cap of sessions is reached, and the rules refuse before they look at the slot.
    const slot = this.#sessions.nextSlot();
    const phase = this.rules.open(slot, peer, remotePort, local, localPort);
    if (phase === REFUSED) {
      socket.terminate();
      return;
    }
    this.#sessions.log?.begin(slot, { address: peer, port: remotePort }, { address: local, port: localPort });
    const { settings, sockets } = this.#start;
    // A listener of the control plane's has it, and what is accepted inherits it. Bun takes the idle time only.
    if (sockets === null && settings.tcpKeepAliveMs > 0) socket.setKeepAlive(true, settings.tcpKeepAliveMs);
    this.#sessions.begin(socket, slot, phase);
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
    this.#sessions.endings.tick();
    this.#sessions.probes.sweep();
  }

  /** Handles those that the kernel has already let in, which takes a turn of the loop, then accepts no more. */
  drain(onListenersLeft: () => void): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#sessions.drain();
    this.#after(TURN_MS, () => {
      this.#stopListening();
      onListenersLeft();
    });
  }

  #stopListening(): void {
    for (const listener of this.#listeners) listener.stop(false);
    this.#listeners = [];
  }

  /** Ends every session: what has come until now is echoed, what is owed is flushed, then FIN. */
  cut(): void {
    if (this.#cutting) return;
    this.#cutting = true;
    this.#after(TURN_MS, () => this.#sessions.endings.cut());
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms));
  }

  /** Closes everything, each session for `reason`. Resolves when no connection is open. */
  async stop(reason: "cut" | "worker_died"): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stopListening();
    this.#sessions.endings.endAll(reason, reason === "cut" ? "cut_short" : reason);
    this.#sessions.probes.closeAll();
    await this.#sessions.empty();
  }
}
