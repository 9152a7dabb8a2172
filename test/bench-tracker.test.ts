import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { NumberSet } from "../bench/generator/number-set.ts";
import { type Followed, MessageTracker } from "../bench/generator/tracker.ts";
import { Tracker } from "../src/client/tracker.ts";

/** What can happen to a session. `at` picks one of the messages that were sent. */
type Event =
  | { readonly what: "send"; readonly count: number }
  | { readonly what: "answer" | "damage" | "astray"; readonly at: number }
  | { readonly what: "next" | "nameless" | "giveUp" };

const at = fc.nat(1000);
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant("send" as const), count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 6, arbitrary: fc.record({ what: fc.constant("next" as const) }) },
  { weight: 6, arbitrary: fc.record({ what: fc.constantFrom("answer" as const, "damage", "astray"), at }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom("nameless" as const, "giveUp") }) },
);

/** The same, said in the simplest way: sets of numbers, and a search through all of them. */
class Model {
  readonly counts: Followed = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  readonly placed = new Set<number>();
  readonly strayed = new Set<number>();
  nameless = 0;

  take(number: number): void {
    if (this.placed.has(number)) this.counts.duplicated++;
    else if (number < Math.max(-1, ...this.placed)) this.counts.reordered++;
    this.placed.add(number);
  }

  damage(number: number): void {
    this.counts.corrupted++;
    if (number === -1) this.nameless++;
    else this.placed.add(number);
  }

  finish(sent: number): void {
    let open = 0;
    for (let number = 0; number < sent; number++)
      if (!this.placed.has(number) && !this.strayed.has(number)) open++;
    this.counts.lost = Math.max(0, open - this.nameless);
  }
}

function follow(events: readonly Event[]): { seen: Followed; expected: Followed; waiting: number } {
  const seen: Followed = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  const tracker = new MessageTracker(seen);
  const model = new Model();
  let sent = 0;
  for (const each of events) {
    const number = "at" in each ? each.at % Math.max(1, sent) : tracker.next;
    if (each.what === "send") sent += each.count;
    else if (each.what === "giveUp") tracker.giveUp(sent);
    else if (each.what === "nameless") {
      tracker.corrupt(-1);
      model.damage(-1);
    } else if (number < sent) {
      if (each.what === "astray") {
        tracker.astray(number);
        if (!model.placed.has(number)) model.strayed.add(number);
      } else if (each.what === "damage") {
        tracker.corrupt(number);
        model.damage(number);
      } else {
        tracker.take(number);
        model.take(number);
      }
    }
  }
  tracker.finish(sent);
  model.finish(sent);
  return { seen, expected: model.counts, waiting: tracker.waiting(sent) };
}

describe("a tracker counts what a simple model counts", () => {
  test("whatever is dropped, doubled, reordered, damaged, late, or goes to another session", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const { seen, expected, waiting } = follow(events);
        expect(seen).toEqual(expected);
        expect(waiting).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });

  test("a million missing, and each of them late: every answer takes the same time", () => {
    const counts: Followed = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
    const tracker = new MessageTracker(counts);
    const messages = 1_000_000;
    tracker.take(messages);
    for (let number = messages - 1; number > 0; number--) tracker.take(number);
    tracker.take(5);
    tracker.finish(messages + 1);
    expect(counts).toEqual({ lost: 1, duplicated: 1, reordered: messages - 1, corrupted: 0 });
  });
});

test("a set of numbers is a set of numbers", () => {
  const ranges = fc.array(fc.tuple(fc.nat(100_000), fc.nat(50), fc.boolean()), { maxLength: 60 });
  fc.assert(
    fc.property(ranges, ranges, (one, other) => {
      const build = (list: typeof one): [NumberSet, Set<number>] => {
        const [numbers, model] = [new NumberSet(), new Set<number>()];
        for (const [from, length, remove] of list) {
          numbers.addRange(from, from + length);
          for (let number = from; number < from + length; number++) model.add(number);
          if (remove) expect(numbers.delete(from)).toBe(model.delete(from));
        }
        return [numbers, model];
      };
      const [[a, modelA], [b, modelB]] = [build(one), build(other)];
      expect(a.size).toBe(modelA.size);
      expect(a.common(b)).toBe([...modelA].filter((number) => modelB.has(number)).length);
      for (const [from] of one) expect(a.has(from)).toBe(modelA.has(from));
    }),
    { numRuns: 200 },
  );
});

/** What the network makes of each message, told by its number: in this order they come. */
interface Fate {
  readonly sent: number;
  /** Numbers as they come; a number that is not there is lost, one that comes again is doubled. */
  readonly arrivals: readonly { readonly number: number; readonly changed: boolean }[];
}

const fate: fc.Arbitrary<Fate> = fc.integer({ min: 1, max: 60 }).chain((sent) =>
  fc.record({
    sent: fc.constant(sent),
    arrivals: fc.array(fc.record({ number: fc.nat(sent - 1), changed: fc.boolean() }), { maxLength: 90 }),
  }),
);

function byLoad({ sent, arrivals }: Fate): Followed {
  const counts: Followed = { lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  const tracker = new MessageTracker(counts);
  for (const { number, changed } of arrivals) {
    if (changed) tracker.corrupt(number);
    else tracker.take(number);
  }
  tracker.finish(sent);
  return counts;
}

function byClient({ sent, arrivals }: Fate): Followed {
  const tracker = new Tracker(1000);
  for (let number = 0; number < sent; number++) tracker.send(0);
  for (const { number, changed } of arrivals) {
    if (changed) tracker.corrupted(number, 1);
    else tracker.echo(number, 1);
  }
  tracker.finish();
  const { lost, duplicated, reordered, corrupted } = tracker.counts;
  return { lost, duplicated, reordered, corrupted };
}

describe("the load's tracker and the client's, which are apart for the sake of speed", () => {
  test("say the same of the same messages", () => {
    fc.assert(
      fc.property(fate, (each) => {
        const client = byClient(each);
        // To the client a changed echo, which may not be the message that it says it is, overtakes nothing.
        const comparable = each.arrivals.some(({ changed }) => changed)
          ? { reordered: client.reordered }
          : {};
        expect({ ...byLoad(each), ...comparable }).toEqual(client);
      }),
      { numRuns: 2000 },
    );
  });
});
