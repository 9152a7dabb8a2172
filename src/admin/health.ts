import type { BoundEndpoints, LoopSettings } from "../engine/loop.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { Clock } from "../state/clock.ts";
import { COUNTER, countersOf } from "../state/counters.ts";
import { CONTROL, type SharedTables } from "../state/shared.ts";
import { hasLibc } from "../sys/libc.ts";
import { dialable } from "./dialable.ts";
import { PROBE_RESULTS, type ProbeFault, type ProbeResult } from "./probe.ts";
import { TcpProbe } from "./probe-tcp.ts";
import { type ProxySettings, probeTcpPortably } from "./probe-tcp-portable.ts";
import { UdpProbe } from "./probe-udp.ts";

/** An event loop that has not turned for so long hangs: it turns at least every second, even when nothing comes. */
export const HEARTBEAT_AGE_MAX_MS = 10_000;

/** A verdict is good for so long: however many ask, the front door is tried a few times a second. */
const VERDICT_AGE_MAX_MS = 100;

/** The answer to a health question: whether it is yes, and one line of why. */
export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
}

/** Whether every event loop turns. */
export function liveness(tables: SharedTables): Verdict {
  const now = new Clock().nowMs;
  for (let loop = 0; loop < tables.loops; loop++) {
    const age = now - countersOf(tables.counters, loop)[COUNTER.heartbeatMs]!;
    if (age > HEARTBEAT_AGE_MAX_MS) {
      return {
        ok: false,
        text: `not live: event loop ${loop} has not turned for ${Math.round(age / 1000)} s`,
      };
    }
  }
  return { ok: true, text: "live" };
}

/** Settings that a verdict depends on. */
export type ReadinessSettings = ProxySettings & Pick<LoopSettings, "maxTcpSessions">;

/** Whether clients are served: tries it, through the front door, as a client that no limit holds back. */
export class Readiness {
  /** Tries by what came of them. */
  readonly tries = new Map<ProbeResult, number>(PROBE_RESULTS.map((result) => [result, 0]));
  readonly #control: Int32Array;
  readonly #settings: ReadinessSettings;
  readonly #timeoutMs: number;
  readonly #tcpProbe: TcpProbe | PortableProbe | null;
  readonly #udpProbe: UdpProbe | null;
  #asking: Promise<Verdict> | null = null;
  #latest: { verdict: Verdict; atMs: number } | null = null;

  constructor(tables: SharedTables, bound: BoundEndpoints, settings: ReadinessSettings, timeoutMs: number) {
    this.#control = new Int32Array(tables.control);
    this.#settings = settings;
    this.#timeoutMs = timeoutMs;
    const [tcp] = bound.tcp;
    const [udp] = bound.udp;
    this.#tcpProbe = tcp === undefined ? null : tcpProbe(tables, dialable(tcp), settings);
    this.#udpProbe = udp === undefined ? null : new UdpProbe(tables, dialable(udp));
  }

  /** Questions at the same time share one try. */
  async check(): Promise<Verdict> {
    if (this.#draining()) return notReady("draining");
    if (this.#latest !== null && performance.now() - this.#latest.atMs < VERDICT_AGE_MAX_MS) {
      return this.#latest.verdict;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** As `check`, but of the latest try where this one takes longer than `waitMs`. */
  async soon(waitMs: number): Promise<Verdict> {
    const late = Bun.sleep(waitMs).then(() => this.#latest?.verdict ?? notReady("no echo yet"));
    return Promise.race([this.check(), late]);
  }

  /** The result of the latest try, without a wait. It begins the next try, for the next question. */
  isReady(): boolean {
    void this.check();
    return !this.#draining() && this.#latest?.verdict.ok === true;
  }

  close(): void {
    this.#tcpProbe?.close();
    this.#udpProbe?.close();
  }

  #draining(): boolean {
    return Atomics.load(this.#control, CONTROL.draining) === 1;
  }

  async #ask(): Promise<Verdict> {
    const [tcp, udp] = await Promise.all([
      this.#tcpProbe?.ask(this.#timeoutMs),
      this.#udpProbe?.ask(this.#timeoutMs),
    ]);
    const fault = tcp ?? udp ?? null;
    const result = fault?.result ?? "ok";
    this.tries.set(result, this.tries.get(result)! + 1);
    const faults = [tcp && `tcp: ${tcp.why}`, udp && `udp: ${udp.why}`].filter(Boolean);
    const verdict = fault === null ? this.#readyVerdict() : notReady(faults.join("; "));
    this.#latest = { verdict, atMs: performance.now() };
    return this.#draining() ? notReady("draining") : verdict;
  }

  /** A server that is full serves those it has: it is ready, though the next TCP session would be refused. */
  #readyVerdict(): Verdict {
    if (this.#tcpProbe === null) return { ok: true, text: "ready" };
    const atCap = Atomics.load(this.#control, CONTROL.tcpActive) >= this.#settings.maxTcpSessions;
    return { ok: true, text: atCap ? "ready (full)" : "ready" };
  }
}

/** The probe of a platform without libc. */
interface PortableProbe {
  ask(timeoutMs: number): Promise<ProbeFault | null>;
  close(): void;
}

function tcpProbe(
  tables: SharedTables,
  endpoint: Endpoint,
  settings: ProxySettings,
): TcpProbe | PortableProbe {
  if (hasLibc()) return new TcpProbe(tables, endpoint);
  const ask = (timeoutMs: number) => probeTcpPortably(endpoint, settings, timeoutMs);
  return { ask, close() {} };
}

function notReady(why: string): Verdict {
  return { ok: false, text: `not ready: ${why}` };
}
