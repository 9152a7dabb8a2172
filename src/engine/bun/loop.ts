import { Clock } from "../../rules/clock.ts";
import { C, counterRow } from "../../rules/counters.ts";
import type { LoopSettings } from "../../rules/settings.ts";
import { wheelTickMs } from "../../rules/wheel.ts";
import type { BoundAddresses, Loop, LoopStart, SessionEnd } from "../loop.ts";
import { BunTcp } from "./tcp.ts";
import { BunUdp } from "./udp-sockets.ts";

/** The loop's clock stands still between two ticks: at most this long, less where a timeout is short. */
const TICK_MS_MAX = 100;

/**
 * Starts the portable loop on this thread: TCP and UDP on Bun's own sockets. It serves when the promise resolves.
 * @param onSessionEnd told of each session's end; null to save the work
 * @throws StartError in one line: a port in use, no permission, no such address
 */
export async function startBunLoop(
  start: LoopStart,
  onSessionEnd: ((end: SessionEnd) => void) | null,
): Promise<Loop> {
  const loop = new BunLoop(start, onSessionEnd);
  await loop.listen();
  return loop;
}

class BunLoop implements Loop {
  bound: BoundAddresses = { tcp: [], udp: [] };
  readonly #settings: LoopSettings;
  readonly #clock = new Clock();
  readonly #row: Float64Array;
  readonly #tcp: BunTcp | null;
  readonly #udp: BunUdp | null;
  readonly #tickMs: number;
  #timer: Timer | null = null;
  #dueMs = 0;

  constructor(start: LoopStart, onSessionEnd: ((end: SessionEnd) => void) | null) {
    const { settings } = start;
    this.#settings = settings;
    this.#row = counterRow(start.tables.counters, start.index);
    this.#tcp = settings.tcpPort === null ? null : new BunTcp(start, this.#clock, onSessionEnd);
    this.#udp = settings.udpPort === null ? null : new BunUdp(start, this.#clock);
    this.#tickMs = tickMs(settings);
  }

  async listen(): Promise<void> {
    try {
      const tcp = (await this.#tcp?.listen(this.#settings.tcpPort!)) ?? [];
      const udp = (await this.#udp?.bind(this.#settings.udpPort!)) ?? [];
      this.bound = { tcp, udp };
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#dueMs = this.#clock.tick() + this.#tickMs;
    this.#timer = setInterval(() => this.#tick(), this.#tickMs);
    this.#tick();
  }

  /** Reads the one clock that everything goes by, and looks after deadlines. */
  #tick(): void {
    const now = this.#clock.tick();
    this.#row[C.heartbeatMs] = now;
    this.#row[C.loopLagSeconds] = Math.max(0, now - this.#dueMs) / 1000;
    this.#dueMs = now + this.#tickMs;
    this.#tcp?.tick();
    this.#udp?.tick();
  }

  drain(): void {
    this.#tcp?.drain();
  }

  cut(): void {
    this.#tcp?.cut();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#udp?.stop();
    await this.#tcp?.stop();
  }
}

/** The grain of the shortest deadline there is. */
function tickMs({ tcpIdleTimeoutMs, udpIdleTimeoutMs, proxyProtocol, proxyTimeoutMs }: LoopSettings): number {
  const proxyMs = proxyProtocol === "off" ? 0 : proxyTimeoutMs;
  const timeouts = [tcpIdleTimeoutMs, udpIdleTimeoutMs, proxyMs].filter((ms) => ms > 0);
  return timeouts.length === 0 ? TICK_MS_MAX : Math.min(TICK_MS_MAX, wheelTickMs(Math.min(...timeouts)));
}
