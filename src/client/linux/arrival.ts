import { type ClockReading, readClocks } from "../../sys/clock.ts";

/** When something came, as the kernel stamped it: wall-clock time (SO_TIMESTAMPNS). */
interface Stamp {
  readonly seconds: number;
  readonly nanos: number;
}

/** The time in which something came, by `performance.now()`: its socket was empty at the first, and had it at the second. */
interface Bracket {
  readonly emptyAtMs: number;
  readonly readAtMs: number;
}

/** Readings of two clocks differ by so much without anything being wrong. */
const SLACK_MS = 0.05;

/** The wall clock is set where its distance from the monotonic one changes by more than that: both are slewed alike. */
const STEP_MS = 0.1;

/**
 * When something came, by `performance.now()`, from the kernel's stamp. The stamp counts only where it lies within the
 * bracket: the wall clock may have been set in between. Null where it cannot be true.
 * @param now both clocks, read after the stamp was made
 */
export function arrivalMs(stamp: Stamp, now: ClockReading, { emptyAtMs, readAtMs }: Bracket): number | null {
  const ageMs = (now.seconds - stamp.seconds) * 1000 + (now.nanos - stamp.nanos) / 1e6;
  const atMs = now.atMs - ageMs;
  const slackMs = SLACK_MS + now.offByMs;
  if (atMs < emptyAtMs - slackMs || atMs > readAtMs + slackMs) return null;
  return Math.min(readAtMs, Math.max(emptyAtMs, atMs));
}

/** Whether the wall clock was set between two readings. */
export function hasStepped(before: ClockReading, after: ClockReading): boolean {
  const wallMs = (after.seconds - before.seconds) * 1000 + (after.nanos - before.nanos) / 1e6;
  // On a busy machine a reading may take long: what it may be off by is no step.
  return Math.abs(wallMs - (after.atMs - before.atMs)) > STEP_MS + before.offByMs + after.offByMs;
}

let latest: ClockReading | null = null;
/** No step was seen since then. */
let steadySinceMs = 0;

/** Both clocks now; notes whether the wall clock was set since the last time. */
function clocksNow(): ClockReading {
  const now = readClocks();
  if (latest !== null && hasStepped(latest, now)) steadySinceMs = now.atMs;
  latest = now;
  return now;
}

/** Turns the stamps of one socket into times. Made when its socket is: that is empty then. */
export class Arrivals {
  #now = clocksNow();
  #emptyAtMs = this.#now.atMs;

  /** The socket is about to be read until it is empty. */
  begin(): void {
    this.#now = clocksNow();
  }

  /** When what was just read came; now, where the stamp cannot be trusted. */
  timeOf(stamp: Stamp | null): number {
    const readAtMs = performance.now();
    if (stamp === null || this.#emptyAtMs < steadySinceMs) return readAtMs;
    return arrivalMs(stamp, this.#now, { emptyAtMs: this.#emptyAtMs, readAtMs }) ?? readAtMs;
  }

  /** It was empty at some time after reading began. */
  emptied(): void {
    this.#emptyAtMs = this.#now.atMs;
  }
}
