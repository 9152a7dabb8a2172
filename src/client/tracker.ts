/** What became of a flow's messages. `sent` is `answered + late + lost + replaced`, and what is still under way. */
export interface Counts {
  sent: number;
  /** The echo came, whole and in time. */
  answered: number;
  /** The first whole echo came, but after its deadline. Such a message was lost until then, and is no more. */
  late: number;
  /** The deadline has passed, and neither the echo came nor anything in its place. */
  lost: number;
  /** A corrupted or foreign message came in its place: it is counted there, and not as lost as well. */
  replaced: number;
  /** Whole echoes that came again. */
  duplicated: number;
  /** Whole echoes, in time or late, that one sent later had overtaken. */
  reordered: number;
  /** What came changed. */
  corrupted: number;
  /** What came and was no message of this flow. */
  foreign: number;
  /** Whole echoes of messages sent so long ago that whether they came before is not known any more. */
  forgotten: number;
}

/** What a whole echo is when it comes. */
export type Arrival = "answered" | "late" | "duplicated" | "forgotten" | "foreign";

const UNDER_WAY = 0;
const CAME = 1;
const LOST = 2;
const REPLACED = 3;
const CORRUPTED = 4;

/** Messages whose fate is remembered at least: what comes for an older one is `forgotten`. */
const WINDOW = 4096;

/**
 * Holds what came against what was sent, for one flow whose messages all have the same time. It reads no clock and
 * knows no socket or payload: the caller gives the times, in ms of one monotonic clock.
 *
 * A message is under way until its deadline, `timeoutMs` after it was sent; an answer at that very moment is in time.
 * Times of sending never go back. A time of arrival may lie before one that was given already (the kernel stamped it
 * and it was read later): a message that was counted lost meanwhile is then answered after all.
 *
 * Memory is a ring of states: of the last `window` messages, or of all since the oldest one under way, if those are
 * more. Each call is O(1), amortised over the messages sent.
 */
export class Tracker {
  readonly #counts: Counts = {
    sent: 0,
    answered: 0,
    late: 0,
    lost: 0,
    replaced: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    foreign: 0,
    forgotten: 0,
  };
  readonly #timeoutMs: number;
  #states: Uint8Array;
  #sentMs: Float64Array;
  /** The oldest message under way; with none, one more than the newest. */
  #oldest = 0;
  #underWay = 0;
  /** One more than the highest number that came whole. */
  #front = 0;
  /** The oldest message that was in the ring when it grew: what is older is forgotten. */
  #firstKept = 0;
  #lastSentMs = Number.NEGATIVE_INFINITY;
  readonly #replacements = new Replacements();

  /**
   * @param timeoutMs from a message's sending to its deadline
   * @param window messages remembered at least, rounded up to a power of two
   */
  constructor(timeoutMs: number, window = WINDOW) {
    this.#timeoutMs = timeoutMs;
    const length = 2 ** Math.ceil(Math.log2(Math.max(1, window)));
    this.#states = new Uint8Array(length);
    this.#sentMs = new Float64Array(length);
  }

  /** As of the latest call: `settle` counts what is lost by now. */
  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  /** Messages whose deadline has not passed, and for which nothing came. */
  get underWay(): number {
    return this.#underWay;
  }

  /** When the next deadline passes; Infinity with nothing under way. */
  get nextDeadlineMs(): number {
    return this.#underWay === 0 ? Number.POSITIVE_INFINITY : this.#timeOf(this.#oldest) + this.#timeoutMs;
  }

  /** Books the next message as sent; returns its number, from 0. */
  send(nowMs: number): number {
    this.settle(nowMs);
    const number = this.#counts.sent++;
    if (number - this.#oldest >= this.#states.length) this.#grow();
    this.#lastSentMs = Math.max(nowMs, this.#lastSentMs);
    this.#setState(number, UNDER_WAY);
    this.#sentMs[this.#slot(number)] = this.#lastSentMs;
    this.#underWay++;
    return number;
  }

  /** Books a whole echo of message `number`. */
  echo(number: number, nowMs: number): Arrival {
    this.settle(nowMs);
    if (number >= this.#counts.sent) {
      this.foreign(nowMs);
      return "foreign";
    }
    const arrival = this.#remembers(number) ? this.#judge(number, nowMs) : "forgotten";
    this.#counts[arrival]++;
    return arrival;
  }

  /** Books a message that came changed; its number where that could still be read. */
  corrupted(number: number | null, nowMs: number): void {
    this.settle(nowMs);
    this.#counts.corrupted++;
    if (number === null) this.#replaceAny();
    else if (number < this.#counts.sent && this.#remembers(number)) this.#replace(number);
  }

  /** Books what came and is no message of this flow. */
  foreign(nowMs: number): void {
    this.settle(nowMs);
    this.#counts.foreign++;
    this.#replaceAny();
  }

  /** How long ago the message was sent; null where that is not remembered. */
  ageMs(number: number, nowMs: number): number | null {
    return number < this.#counts.sent && this.#remembers(number) ? nowMs - this.#timeOf(number) : null;
  }

  /** Counts as lost what is under way and had its deadline before `nowMs`. */
  settle(nowMs: number): void {
    while (this.#underWay > 0 && nowMs - this.#timeOf(this.#oldest) > this.#timeoutMs) this.#settleOldest();
  }

  /** The end: what is still under way is not waited for, and is lost. */
  finish(): void {
    this.settle(Number.POSITIVE_INFINITY);
  }

  #settleOldest(): void {
    const number = this.#oldest;
    const replaced = this.#replacements.takeFor(number);
    this.#leave(number, replaced ? REPLACED : LOST);
    if (replaced) this.#counts.replaced++;
    else this.#counts.lost++;
  }

  /** A whole echo of a message that is remembered. */
  #judge(number: number, nowMs: number): "answered" | "late" | "duplicated" {
    const state = this.#stateOf(number);
    if (state === CAME || state === CORRUPTED) return "duplicated";
    if (state === LOST) this.#counts.lost--;
    if (state === REPLACED) this.#counts.replaced--;
    this.#leave(number, CAME);
    if (number < this.#front) this.#counts.reordered++;
    else this.#front = number + 1;
    return nowMs - this.#timeOf(number) > this.#timeoutMs ? "late" : "answered";
  }

  /** The changed echo of a message that is remembered: the first one takes its place. */
  #replace(number: number): void {
    const state = this.#stateOf(number);
    if (state === CAME || state === CORRUPTED) return;
    if (state === LOST) this.#counts.lost--;
    if (state !== REPLACED) this.#counts.replaced++;
    this.#leave(number, CORRUPTED);
  }

  /** Something came, and which message it came for is not known: one that is under way now may be lost for it. */
  #replaceAny(): void {
    this.#replacements.dropUpTo(this.#oldest);
    if (this.#replacements.count < this.#underWay) this.#replacements.add(this.#counts.sent);
  }

  #leave(number: number, state: number): void {
    if (this.#stateOf(number) === UNDER_WAY) this.#underWay--;
    this.#setState(number, state);
    while (this.#oldest < this.#counts.sent && this.#stateOf(this.#oldest) !== UNDER_WAY) this.#oldest++;
  }

  #remembers(number: number): boolean {
    return number >= Math.max(this.#firstKept, this.#counts.sent - this.#states.length);
  }

  #slot(number: number): number {
    return number % this.#states.length;
  }

  #stateOf(number: number): number {
    return this.#states[this.#slot(number)]!;
  }

  #setState(number: number, state: number): void {
    this.#states[this.#slot(number)] = state;
  }

  #timeOf(number: number): number {
    return this.#sentMs[this.#slot(number)]!;
  }

  /** Doubles the ring: no message that is under way is forgotten. */
  #grow(): void {
    const { length } = this.#states;
    const states = new Uint8Array(2 * length);
    const times = new Float64Array(2 * length);
    const last = this.#counts.sent - 1; // not in the ring yet
    // The larger ring has room for older messages, which were forgotten already.
    this.#firstKept = Math.max(this.#firstKept, last - length);
    for (let number = this.#firstKept; number < last; number++) {
      states[number % (2 * length)] = this.#stateOf(number);
      times[number % (2 * length)] = this.#timeOf(number);
    }
    this.#states = states;
    this.#sentMs = times;
  }
}

/**
 * What came in the place of messages that are not known. Each stands for one message that was sent before it came and
 * is still missing at its deadline; deadlines pass in the order of sending, so the oldest is always the next to go.
 */
class Replacements {
  /** How many messages were sent when it came, and how many came at that time. Entries before `#first` are gone. */
  #queue: { readonly sent: number; count: number }[] = [];
  #first = 0;
  count = 0;

  add(sent: number): void {
    const last = this.#queue.at(-1);
    if (last?.sent === sent && this.#first < this.#queue.length) last.count++;
    else this.#queue.push({ sent, count: 1 });
    this.count++;
  }

  /** Whether one stands for this message, the oldest under way; it is then used up. */
  takeFor(number: number): boolean {
    this.dropUpTo(number);
    const next = this.#queue[this.#first];
    if (next === undefined) return false;
    next.count--;
    this.count--;
    if (next.count === 0) this.#dropFirst();
    return true;
  }

  /** Those that came before message `oldest` was sent stand for none that is under way. */
  dropUpTo(oldest: number): void {
    for (;;) {
      const next = this.#queue[this.#first];
      if (next === undefined || next.sent > oldest) return;
      this.count -= next.count;
      this.#dropFirst();
    }
  }

  #dropFirst(): void {
    this.#first++;
    if (2 * this.#first < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#first);
    this.#first = 0;
  }
}
