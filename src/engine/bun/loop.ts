import { wheelTickMs } from "../../rules/wheel.ts";
import { Clock } from "../../state/clock.ts";
import { C, counterRow } from "../../state/counters.ts";
import { COMMAND, WORD } from "../../state/shared.ts";
import type { BoundEndpoints, BunLoopStart, LoopSettings } from "../loop.ts";
import { BunTcp } from "./tcp.ts";
import type { BunTcpEvents } from "./tcp-sessions.ts";
import { BunUdp } from "./udp-sockets.ts";

/** The loop's clock stands still between two ticks: at most this long, less where a timeout is short. */
const TICK_MS_MAX = 100;

/** What a loop tells whoever started it. */
export interface BunLoopEvents extends BunTcpEvents {
  /** It drains and has left its listeners, which can be closed now. */
  readonly onListenersLeft: () => void;
  /** It was told to stop, and nothing of it is open. */
  readonly onStopped: () => void;
}

/**
 * The portable loop: TCP, UDP or both on Bun's own sockets, in the thread that made it. It does what its word in the
 * control table says, when `obey` is called, and between datagrams.
 */
export class BunLoop {
  bound: BoundEndpoints = { tcp: [], udp: [] };
  readonly #settings: LoopSettings;
  readonly #events: BunLoopEvents;
  readonly #clock = new Clock();
  readonly #row: Float64Array;
  readonly #control: Int32Array;
  readonly #index: number;
  readonly #tcp: BunTcp | null;
  readonly #udp: BunUdp | null;
  readonly #tickMs: number;
  #command: number = COMMAND.run;
  #timer: Timer | null = null;
  #dueMs = 0;

  constructor(start: BunLoopStart, events: BunLoopEvents) {
    const { settings, tables, index } = start;
    this.#settings = settings;
    this.#events = events;
    this.#index = index;
    this.#row = counterRow(tables.counters, index);
    this.#control = new Int32Array(tables.control);
    this.#tcp = settings.tcpPort === null ? null : new BunTcp(start, this.#clock, events);
    this.#udp = settings.udpPort === null ? null : new BunUdp(start, this.#clock, () => this.#beat());
    this.#tickMs = tickMs(settings);
  }

  /**
   * Serves from when the promise resolves.
   * @throws StartError in one line: a port in use, no permission, no such address; then nothing is open
   */
  async listen(): Promise<void> {
    try {
      const tcp = (await this.#tcp?.listen(this.#settings.tcpPort!)) ?? [];
      const udp = (await this.#udp?.bind(this.#settings.udpPort!)) ?? [];
      this.bound = { tcp, udp };
    } catch (error) {
      await this.#stop();
      throw error;
    }
    this.#dueMs = this.#clock.tick() + this.#tickMs;
    this.#timer = setInterval(() => this.#tick(this.#clock.tick()), this.#tickMs);
    this.#tick(this.#clock.nowMs);
  }

  /** Does what the loop was told last; each command includes those before it. Throws an injected fault. */
  obey(): void {
    const command = Atomics.load(this.#control, WORD.command + this.#index);
    const before = this.#command;
    this.#command = command;
    if (command === before) return;
    if (command === COMMAND.fail) throw new Error("fault injected");
    if (command >= COMMAND.drain && before < COMMAND.drain) this.#drain();
    if (command >= COMMAND.cut && before < COMMAND.cut) this.#tcp?.cut();
    if (command >= COMMAND.stop && before < COMMAND.stop) void this.#stop().then(this.#events.onStopped);
  }

  /** Reads the one clock that everything goes by (`now`), and looks after deadlines. */
  #tick(now: number): void {
    this.#row[C.heartbeatMs] = now;
    this.#row[C.loopLagSeconds] = Math.max(0, now - this.#dueMs) / 1000;
    this.#dueMs = now + this.#tickMs;
    this.#tcp?.tick();
    this.#udp?.tick();
  }

  /**
   * Between datagrams: Bun reads a socket until it is empty, and while a flood goes on it never is. Timers and messages
   * wait for its end, so the clock, the deadlines and the control plane's commands are looked after from here.
   */
  #beat(): void {
    const now = this.#clock.tick();
    if (now >= this.#dueMs) this.#tick(now);
    if (Atomics.load(this.#control, WORD.command + this.#index) !== this.#command) this.obey();
  }

  #drain(): void {
    if (this.#tcp === null) this.#events.onListenersLeft();
    else this.#tcp.drain(this.#events.onListenersLeft);
  }

  /** After a fault: ends every session at once, as died. Resolves when none is left. */
  async die(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#udp?.stop("worker_died");
    await this.#tcp?.stop("worker_died");
  }

  async #stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#udp?.stop("drained");
    await this.#tcp?.stop("cut");
  }
}

/** The grain of the shortest deadline there is. */
function tickMs({ tcpIdleTimeoutMs, udpIdleTimeoutMs, proxyProtocol, proxyTimeoutMs }: LoopSettings): number {
  const proxyMs = proxyProtocol === "off" ? 0 : proxyTimeoutMs;
  const timeouts = [tcpIdleTimeoutMs, udpIdleTimeoutMs, proxyMs].filter((ms) => ms > 0);
  return timeouts.length === 0 ? TICK_MS_MAX : Math.min(TICK_MS_MAX, wheelTickMs(Math.min(...timeouts)));
}
