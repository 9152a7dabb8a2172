import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { peersOf } from "../../src/diagnose/mesh/ring.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf, seen } from "./fixtures.ts";

/** Whose pairs there are: those that the ring assigns now, and of nobody else. */

describe("members come and go", () => {
  const three = addresses(3);

  test("one that goes vanishes with all that was counted, and begins anew when it comes back", () => {
    const known = knowledgeOf();
    known.take({ roster: rosterOf({ addresses: three }) }, at(0));
    answerAll(known, at(1000));
    const [, gone, stays] = three;
    known.take({ roster: rosterOf({ addresses: [three[0]!, stays!] }) }, at(2000));
    expect([...known.book.pairs.keys()]).toEqual([stays!]);
    expect(known.book.pairs.get(stays!)![1]!.totals.sent).toBe(1);
    known.take({ probe: seen(gone!, "udp") }, at(2100)); // the last of it that was under way
    expect([...known.book.pairs.keys()]).toEqual([stays!]);
    known.take({ roster: rosterOf({ addresses: three }) }, at(3000));
    const [tcp, udp] = known.book.pairs.get(gone!)!;
    expect([tcp!.up, udp!.up, tcp!.totals.sent]).toEqual([null, null, 0]);
    expect(tcp!.sinceWallMs).toBe(at(3000).wallMs);
  });

  test("whoever does not know its own address asks nobody, and whoever loses it asks no more", () => {
    const known = knowledgeOf();
    known.take({ roster: rosterOf({ addresses: three, own: null }) }, at(0));
    expect(known.book.pairs.size).toBe(0);
    known.take({ roster: rosterOf({ addresses: three }) }, at(1));
    expect(known.book.pairs.size).toBe(2);
    known.take({ roster: rosterOf({ addresses: three, own: null }) }, at(2));
    expect(known.book.pairs.size).toBe(0);
  });

  test("another Pod at the same address begins anew; the first name of an address changes nothing", () => {
    const known = knowledgeOf();
    const [, peer] = three;
    known.take({ roster: rosterOf({ addresses: three }) }, at(0));
    answerAll(known, at(0));
    const row = (self: string) => ({ self, node: null, wallMs: 0, pairs: [], addresses: new Map() });
    const sent = (): number => known.book.pairs.get(peer!)![0]!.totals.sent;
    known.takeRow(peer!, row("pod-a"), at(1));
    expect(sent()).toBe(2);
    known.takeRow(peer!, row("pod-a"), at(2));
    expect(sent()).toBe(2);
    known.takeRow(peer!, row("pod-b"), at(3));
    expect(sent()).toBe(0);
  });

  test("through any churn there are the pairs of the ring's peers, each protocol once, and names of all", () => {
    const rosters = fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 20 }), { maxLength: 15 }), {
      maxLength: 20,
    });
    const all = addresses(21);
    fc.assert(
      fc.property(rosters, fc.integer({ min: 1, max: 12 }), (churn, degree) => {
        const known = knowledgeOf({ degree });
        for (const [step, members] of churn.entries()) {
          const present = all.filter((_, index) => members.includes(index));
          const own = present.includes(all[0]!) ? all[0]! : null;
          known.take({ roster: rosterOf({ addresses: present, own }) }, at(step));
          answerAll(known, at(step));
          expect([...known.book.pairs.keys()].sort()).toEqual(peersOf(present, own, degree).sort());
          for (const pairs of known.book.pairs.values())
            expect(pairs.map(({ protocol }) => protocol)).toEqual(["tcp", "udp"]);
          expect([...known.names.byAddress.keys()]).toEqual(present);
        }
      }),
    );
  });
});
