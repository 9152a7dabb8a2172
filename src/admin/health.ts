import type { BoundAddresses } from "../engine/loop.ts";
import { Clock } from "../rules/clock.ts";
import { C, counterRow } from "../rules/counters.ts";
import { type SharedTables, WORD } from "../rules/shared.ts";
import { dialable } from "./endpoint.ts";
import { type ProxySettings, probeTcp } from "./probe-tcp.ts";
import { UdpProbe } from "./probe-udp.ts";

/** An event loop that has not turned for so long hangs: it turns at least every second, even when nothing comes. */
const HEARTBEAT_AGE_MAX_MS = 10_000;

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
    const age = now - counterRow(tables.counters, loop)[C.heartbeatMs]!;
    if (age > HEARTBEAT_AGE_MAX_MS) {
      return {
        ok: false,
        text: `not live: event loop ${loop} has not turned for ${Math.round(age / 1000)} s`,
      };
    }
  }
  return { ok: true, text: "live" };
}

/** Whether a new session would be served: tries one, through the front door. */
export class Readiness {
  readonly #tables: SharedTables;
  readonly #bound: BoundAddresses;
  readonly #settings: ProxySettings;
  readonly #timeoutMs: number;
  readonly #udpProbe: UdpProbe | null;
  #asking: Promise<Verdict> | null = null;
  #latest: { verdict: Verdict; atMs: number } | null = null;

  constructor(tables: SharedTables, bound: BoundAddresses, settings: ProxySettings, timeoutMs: number) {
    this.#tables = tables;
    this.#bound = bound;
    this.#settings = settings;
    this.#timeoutMs = timeoutMs;
    const [udp] = bound.udp;
    this.#udpProbe = udp === undefined ? null : new UdpProbe(dialable(udp));
  }

  /** All who ask at once share one try. */
  async check(): Promise<Verdict> {
    if (this.#draining()) return { ok: false, text: "not ready: draining" };
    if (this.#latest !== null && performance.now() - this.#latest.atMs < VERDICT_AGE_MAX_MS) {
      return this.#latest.verdict;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  close(): void {
    this.#udpProbe?.close();
  }

  #draining(): boolean {
    return Atomics.load(new Int32Array(this.#tables.control), WORD.draining) === 1;
  }

  async #ask(): Promise<Verdict> {
    const [tcp] = this.#bound.tcp;
    const [tcpFault, udpFault] = await Promise.all([
      tcp === undefined ? null : probeTcp(dialable(tcp), this.#settings, this.#timeoutMs),
      this.#udpProbe === null ? null : this.#udpProbe.ask(this.#timeoutMs),
    ]);
    const faults = [tcpFault && `tcp: ${tcpFault}`, udpFault && `udp: ${udpFault}`].filter(Boolean);
    const verdict = faults.length === 0 ? { ok: true, text: "ready" } : notReady(faults.join("; "));
    this.#latest = { verdict, atMs: performance.now() };
    return this.#draining() ? notReady("draining") : verdict;
  }
}

function notReady(why: string): Verdict {
  return { ok: false, text: `not ready: ${why}` };
}
