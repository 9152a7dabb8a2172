/**
 * The arithmetic of outages for probes that are answered one by one, as pure functions and a book of bounded size. An
 * outage runs from the sending of the first probe that got no answer to the sending of the first one after it that did;
 * so its resolution is the interval, and how long answers take has no part in it. All times are of one monotonic clock.
 */

/** What became of one probe. */
export interface Fate {
  readonly sentMs: number;
  readonly answered: boolean;
}

/** An outage that goes on. */
export interface OpenOutage {
  readonly sinceMs: number;
  /** Probes without an answer so far. */
  readonly lost: number;
}

/** An outage that is over. */
export interface Outage extends OpenOutage {
  readonly untilMs: number;
}

/** What is told of many outages. All in ms. */
export interface OutageFigures {
  readonly count: number;
  readonly longestMs: number;
  readonly totalMs: number;
}

export const NO_OUTAGES: OutageFigures = { count: 0, longestMs: 0, totalMs: 0 };

/** The outage after one more probe, in the order of sending, and the one that this probe ended. */
export function stepOutage(
  open: OpenOutage | null,
  { sentMs, answered }: Fate,
): { readonly open: OpenOutage | null; readonly ended: Outage | null } {
  if (!answered)
    return { open: { sinceMs: open?.sinceMs ?? sentMs, lost: (open?.lost ?? 0) + 1 }, ended: null };
  return { open: null, ended: open === null ? null : { ...open, untilMs: sentMs } };
}

/** The figures with one more outage. */
export function addOutage(
  { count, longestMs, totalMs }: OutageFigures,
  { sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number },
): OutageFigures {
  const ms = Math.max(0, untilMs - sinceMs);
  return { count: count + 1, longestMs: Math.max(longestMs, ms), totalMs: totalMs + ms };
}

const UNDER_WAY = 0;
const ANSWERED = 1;
const LOST = 2;
/** It says nothing of the path: it never left, or something else came in its place. */
const NOT_COUNTED = 3;
type State = typeof UNDER_WAY | typeof ANSWERED | typeof LOST | typeof NOT_COUNTED;

interface Probe {
  readonly sentMs: number;
  readonly deadlineMs: number;
  state: State;
}

/** A silence that an answer ended. */
export interface Silence {
  readonly sinceMs: number;
  /** When the probe was sent that was answered. */
  readonly untilMs: number;
  /** Probes between the two, all without an answer so far. */
  readonly lost: number;
}

/** Counts of a flow's probes so far, and its outages. */
export interface BookFigures {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly underWay: number;
  readonly late: number;
  readonly outages: OutageFigures;
}

/**
 * The probes of one flow and its outages. Answers come in any order, twice or never; outages are counted in the order
 * of sending, once the fate of each probe and of all before it is known. Memory: the probes since the oldest whose
 * fate is not known.
 *
 * A probe has two times. By `sentMs` outages are measured. `deadlineMs` belongs to whatever clock its caller judges
 * lateness by.
 */
export class OutageBook {
  sent = 0;
  answered = 0;
  lost = 0;
  /** Answers that came after their probe was lost. */
  late = 0;
  /** Probes in whose place something else came. */
  replaced = 0;
  #figures = NO_OUTAGES;
  #open: OpenOutage | null = null;
  /** Probes whose fate, or that of an older one, is not known; the first has the number `#oldest`. */
  #probes: Probe[] = [];
  #oldest = 0;
  #next = 0;
  #newestAnswered = -1;
  #silentSinceMs: number | null = null;
  /** Probes sent since the newest that was answered. */
  #unanswered = 0;

  /** Probes under way. */
  get underWay(): number {
    return this.sent - this.answered - this.lost - this.replaced;
  }

  /** When the first of the latest probes was sent that have no answer yet, with none after it; null without such. */
  get silentSinceMs(): number | null {
    return this.#silentSinceMs;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Books a probe as sent. @returns its number, from 0 */
  send(sentMs: number, deadlineMs: number): number {
    this.sent++;
    this.#unanswered++;
    this.#probes.push({ sentMs, deadlineMs, state: UNDER_WAY });
    this.#silentSinceMs ??= sentMs;
    return this.#next++;
  }

  /** Books an answer that came too late: its probe is lost. */
  answerLate(number: number): void {
    this.lose(number);
    this.late++;
  }

  /** Books an answer. @returns the silence that it ends; null where its probe is lost, or was answered before */
  answer(number: number): Silence | null {
    const probe = this.#probes[number - this.#oldest];
    if (probe?.state !== UNDER_WAY) {
      if (probe === undefined || probe.state === LOST) this.late++;
      return null;
    }
    probe.state = ANSWERED;
    this.answered++;
    if (number <= this.#newestAnswered) return null;
    const sinceMs = this.#silentSinceMs ?? probe.sentMs;
    const after = this.#probes.slice(number + 1 - this.#oldest).filter(({ state }) => state !== NOT_COUNTED);
    const lost = this.#unanswered - 1 - after.length;
    this.#newestAnswered = number;
    this.#silentSinceMs = after[0]?.sentMs ?? null;
    this.#unanswered = after.length;
    return { sinceMs, untilMs: probe.sentMs, lost };
  }

  /** The probe is lost, whatever its deadline. */
  lose(number: number): void {
    const probe = this.#probes[number - this.#oldest];
    if (probe?.state !== UNDER_WAY) return;
    probe.state = LOST;
    this.lost++;
  }

  /** The probe that was booked last could not go out by the path. */
  loseLast(): void {
    this.lose(this.#next - 1);
  }

  /** Something else came in its place: it is not lost as well. */
  replace(number: number): void {
    const probe = this.#probes[number - this.#oldest];
    if (probe?.state !== UNDER_WAY) return;
    probe.state = NOT_COUNTED;
    this.replaced++;
  }

  /** The probe that was booked last never left this machine, so its fate says nothing of the path. */
  dropLast(): void {
    const probe = this.#probes.at(-1);
    if (probe?.state !== UNDER_WAY) return;
    probe.state = NOT_COUNTED;
    this.sent--;
    this.#unanswered--;
    if (this.#unanswered === 0) this.#silentSinceMs = null;
  }

  /** Counts what is certain by now. @returns outages that are over and were not told before */
  settle(nowMs: number): Outage[] {
    const ended: Outage[] = [];
    let settled = 0;
    for (; settled < this.#probes.length; settled++) {
      const probe = this.#probes[settled]!;
      if (probe.state === UNDER_WAY && probe.deadlineMs < nowMs) this.lose(this.#oldest + settled);
      if (probe.state === UNDER_WAY) break;
      if (probe.state !== NOT_COUNTED)
        this.#take({ sentMs: probe.sentMs, answered: probe.state === ANSWERED }, ended);
    }
    this.#probes.splice(0, settled);
    this.#oldest += settled;
    return ended;
  }

  /**
   * All so far, as it is if nothing more came: an outage that goes on is as long as it is by `nowMs`, and a probe under way
   * that a newer one has overtaken is lost.
   */
  figures(nowMs: number): BookFigures {
    let [figures, open, overtaken] = [this.#figures, this.#open, 0];
    for (const [at, { sentMs, state }] of this.#probes.entries()) {
      if (this.#oldest + at > this.#newestAnswered) break;
      if (state === NOT_COUNTED) continue;
      if (state === UNDER_WAY) overtaken++;
      const step = stepOutage(open, { sentMs, answered: state === ANSWERED });
      open = step.open;
      if (step.ended !== null) figures = addOutage(figures, step.ended);
    }
    const { sent, answered, late } = this;
    const lost = this.lost + overtaken;
    const underWay = this.underWay - overtaken;
    const outages = open === null ? figures : addOutage(figures, { ...open, untilMs: nowMs });
    return { sent, answered, lost, underWay, late, outages };
  }

  #take(fate: Fate, ended: Outage[]): void {
    const step = stepOutage(this.#open, fate);
    this.#open = step.open;
    if (step.ended === null) return;
    this.#figures = addOutage(this.#figures, step.ended);
    ended.push(step.ended);
  }
}
