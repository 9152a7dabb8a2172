import { TimeBuckets } from "./buckets.ts";
import { LastMinute, type MinuteFigures } from "./last-minute.ts";
import type { MeshPair } from "./result.ts";
import type { ProbeName, ProbeSeen } from "./seen.ts";
import { isOwnFault, WHY_NOT_YET, whyDown, whyStale, whyUnmeasured } from "./why.ts";

export type MeshProtocol = MeshPair["protocol"];

/** The probes whose answers make a pair up: all of them. */
const PROBES: Readonly<Record<MeshProtocol, readonly ProbeName[]>> = {
  tcp: ["tcp-new", "tcp-held"],
  udp: ["udp"],
};

/** Probes in a row without an answer that mean down. */
const DOWN_AFTER = 2;

/** Both clocks at one moment: the monotonic one, and the one on the wall (ms since 1970). */
export interface Now {
  readonly ms: number;
  readonly wallMs: number;
}

/** How often and how patiently a peer is asked. */
export interface Pace {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Since the pair was assigned. */
export interface PairTotals {
  sent: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
}

/** A pair that has changed: how long it was what it was before. */
export interface PairChange {
  readonly before: boolean | null;
  readonly after: boolean | null;
  readonly lastedMs: number;
  /** Nothing was known of it before. */
  readonly isFirst: boolean;
}

/** One kind of probe: what its last answers say. */
interface ProbeState {
  up: boolean | null;
  /** In a row, up to now. */
  unanswered: number;
  /** When the one was sent that was sent last of those that were answered. */
  answeredSentMs: number;
  why: string | null;
  /** What keeps this machine from measuring by it; null where nothing does. */
  hindrance: string | null;
  /** When it was measured last; null where it never was. */
  measured: Now | null;
}

/** One peer by one protocol. Pure: what came and what time it is are handed in. */
export class Pair {
  readonly protocol: MeshProtocol;
  readonly totals: PairTotals = { sent: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  readonly rtt = new TimeBuckets();
  /** TCP alone connects. */
  readonly connect: TimeBuckets | null;
  /** The last that was seen; null while none was. */
  hops: number | null = null;
  up: boolean | null = null;
  /** Since when it is what it is, ms since 1970. */
  sinceWallMs: number;
  readonly #pace: Pace;
  readonly #minute = new LastMinute();
  readonly #probes: ReadonlyMap<ProbeName, ProbeState>;
  /** Since when it is what it is, monotonic. */
  #sinceMs: number;
  #wasKnown = false;

  constructor(protocol: MeshProtocol, pace: Pace, now: Now) {
    this.protocol = protocol;
    this.connect = protocol === "tcp" ? new TimeBuckets() : null;
    this.#pace = pace;
    this.#probes = new Map(PROBES[protocol].map((name) => [name, unmeasured()]));
    this.#sinceMs = now.ms;
    this.sinceWallMs = now.wallMs;
  }

  /** Books a probe of its protocol. @returns what it has changed; null where nothing */
  take(seen: ProbeSeen, now: Now): PairChange | null {
    const state = this.#probes.get(seen.probe);
    if (state === undefined) return null;
    this.#book(seen, now);
    if (seen.fault !== null && isOwnFault(seen.fault)) {
      state.hindrance = whyUnmeasured(seen.fault);
      return null;
    }
    this.#forgetStale(now.ms); // what was before a stall says nothing of now
    judge(state, seen, now, this.#pace.timeoutMs);
    return this.#become(this.#judged(), now, seen.atMs);
  }

  /** Looks at the time: what was not measured for long is unknown. @returns what has changed; null where nothing */
  settle(now: Now): PairChange | null {
    const lastWallMs = this.#forgetStale(now.ms);
    return lastWallMs === null ? null : this.#become(this.#judged(), now, lastWallMs);
  }

  figures(nowMs: number): MinuteFigures {
    return this.#minute.figures(nowMs);
  }

  /** Null where it is up. */
  why(nowMs: number): string | null {
    if (this.up === true) return null;
    const states = [...this.#probes.values()].filter(({ up }) => up === this.up);
    const hindrances = states.flatMap(({ hindrance }) => hindrance ?? []);
    if (this.up === null && hindrances.length > 0) return hindrances[0]!;
    const whys = states.flatMap(({ why }) => why ?? []);
    if (whys.length > 0) return [...new Set(whys)].join("; ");
    const stale = states.filter((state) => this.#isStale(state, nowMs));
    return stale.length === 0
      ? WHY_NOT_YET
      : whyStale(nowMs - Math.min(...stale.map((state) => state.measured!.ms)));
  }

  #book(seen: ProbeSeen, now: Now): void {
    const { rttMs, connectMs, hops } = seen;
    this.totals.sent += seen.sent;
    this.totals.lost += seen.lost;
    this.totals.duplicated += seen.duplicated;
    this.totals.reordered += seen.reordered;
    this.totals.corrupted += seen.corrupted;
    if (rttMs !== null) this.rtt.add(rttMs);
    if (connectMs !== null) this.connect?.add(connectMs);
    if (hops !== null) this.hops = hops;
    this.#minute.add(seen, now.ms);
  }

  /** Down if one of its probes is, else unknown if one of them is. */
  #judged(): boolean | null {
    const states = [...this.#probes.values()].map(({ up }) => up);
    if (states.includes(false)) return false;
    return states.includes(null) ? null : true;
  }

  #become(after: boolean | null, now: Now, wallMs: number): PairChange | null {
    const before = this.up;
    this.up = after;
    if (before === after) return null;
    const lastedMs = now.ms - this.#sinceMs;
    this.#sinceMs = now.ms;
    this.sinceWallMs = wallMs;
    const isFirst = !this.#wasKnown;
    this.#wasKnown = true;
    return { before, after, lastedMs, isFirst };
  }

  /**
   * A probe is sent each interval and decided within the timeout. Three are missing: the one who asks did not run (it was
   * stopped, or its machine was busy), or had nothing to ask with.
   */
  #isStale({ measured }: ProbeState, nowMs: number): boolean {
    const { intervalMs, timeoutMs } = this.#pace;
    return measured !== null && nowMs - measured.ms > 3 * intervalMs + 2 * timeoutMs;
  }

  /** @returns when the last of what is forgotten was measured, ms since 1970; null where nothing is */
  #forgetStale(nowMs: number): number | null {
    let lastWallMs: number | null = null;
    for (const state of this.#probes.values()) {
      if (!this.#isStale(state, nowMs) || (state.up === null && state.unanswered === 0)) continue;
      lastWallMs = Math.max(lastWallMs ?? 0, state.measured!.wallMs);
      const { measured, hindrance } = state;
      Object.assign(state, { ...unmeasured(), measured, hindrance });
    }
    return lastWallMs;
  }
}

function unmeasured(): ProbeState {
  return {
    up: null,
    unanswered: 0,
    answeredSentMs: Number.NEGATIVE_INFINITY,
    why: null,
    hindrance: null,
    measured: null,
  };
}

function judge(state: ProbeState, seen: ProbeSeen, now: Now, timeoutMs: number): void {
  state.measured = now;
  state.hindrance = null;
  if (seen.fault === null) {
    const answeredSentMs = Math.max(state.answeredSentMs, seen.sentMs);
    Object.assign(state, { up: true, unanswered: 0, answeredSentMs, why: null });
    return;
  }
  // Its time was up after one that was sent later had come: what has healed meanwhile is not down again by that.
  if (seen.sentMs < state.answeredSentMs) return;
  state.unanswered++;
  state.why = whyDown(seen, state.unanswered, timeoutMs);
  if (state.unanswered >= DOWN_AFTER) state.up = false;
}
