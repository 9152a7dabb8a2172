import { type FlowKey, makePayload, type Reading, readPayload } from "./payload.ts";
import { RoundTrips } from "./round-trips.ts";
import { type Arrival, type Counts, Tracker } from "./tracker.ts";

/** What a payload that came was. */
export interface Taken {
  /** `crossed` counts as foreign: it is another flow's of this run, `flow`. */
  readonly what: Arrival | "corrupted" | "crossed";
  /** The message, where it is one of this flow's and its number could be read. */
  readonly number: number | null;
  /** From its sending, where it came whole and for the first time. */
  readonly roundTripMs: number | null;
  readonly flow: number | null;
}

/** The messages of one flow, all of one size: makes them, and books what comes against what was sent. */
export class FlowMessages {
  /** Of whole echoes, the late ones too. */
  readonly roundTrips = new RoundTrips();
  readonly tracker: Tracker;
  readonly #key: FlowKey;
  readonly #size: number;

  /**
   * @param key no other flow of the run has it
   * @param size bytes of each payload
   * @param timeoutMs from a message's sending to its deadline
   */
  constructor(key: FlowKey, size: number, timeoutMs: number) {
    this.#key = key;
    this.#size = size;
    this.tracker = new Tracker(timeoutMs);
  }

  get counts(): Readonly<Counts> {
    return this.tracker.counts;
  }

  /** The next message, booked as sent. */
  next(nowMs: number): Uint8Array {
    const message = this.upcoming();
    this.sent(nowMs);
    return message;
  }

  /** The next message: made, and not booked, so that its time can be taken when it leaves. */
  upcoming(): Uint8Array {
    return makePayload(this.#key, this.counts.sent, this.#size);
  }

  /** Books the upcoming message as sent. */
  sent(nowMs: number): void {
    this.tracker.send(nowMs);
  }

  /** What a payload is, of the messages sent so far; nothing is booked. */
  read(bytes: Uint8Array): Reading {
    return readPayload(bytes, this.#key, this.counts.sent, () => this.#size);
  }

  /** Books what came. */
  take(bytes: Uint8Array, atMs: number): Taken {
    const reading = this.read(bytes);
    switch (reading.kind) {
      case "own":
        return this.#takeOwn(reading.number, atMs);
      case "corrupted":
        this.tracker.corrupted(reading.number, atMs);
        return { what: "corrupted", number: reading.number, roundTripMs: null, flow: null };
      case "crossed":
        this.tracker.foreign(atMs);
        return { what: "crossed", number: null, roundTripMs: null, flow: reading.flow };
      case "foreign":
        this.tracker.foreign(atMs);
        return { what: "foreign", number: null, roundTripMs: null, flow: null };
    }
  }

  #takeOwn(number: number, atMs: number): Taken {
    const what = this.tracker.echo(number, atMs);
    const first = what === "answered" || what === "late";
    const roundTripMs = first ? this.tracker.ageMs(number, atMs) : null;
    if (roundTripMs !== null) this.roundTrips.add(roundTripMs);
    return { what, number, roundTripMs, flow: null };
  }
}
