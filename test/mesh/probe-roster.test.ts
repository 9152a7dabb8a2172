import { describe, expect, test } from "bun:test";
import { RosterKeeper } from "../../src/diagnose/mesh/roster.ts";
import type { MeshQuestion, Roster } from "../../src/diagnose/mesh/seen.ts";
import type { Family } from "../../src/diagnose/targets.ts";
import { until } from "../harness.ts";
import { QUESTION } from "./probe-fixtures.ts";

/** What a name is answered with: addresses, an error's word, or nothing at all until somebody says so. */
type Answer = readonly string[] | string | Promise<readonly string[]>;

/** A keeper whose resolver is the test's. */
function keeper(
  names: Record<string, Answer>,
  question: Partial<MeshQuestion> = {},
  here: readonly string[] = [],
) {
  const rosters: Roster[] = [];
  const asked: string[] = [];
  const lookup = async (host: string, family: Family | 0): Promise<readonly string[]> => {
    asked.push(`${host} ${family}`);
    const answer = await names[host]!;
    if (typeof answer === "string") throw Object.assign(new Error(answer), { code: answer });
    return answer.filter((address) => family === 0 || address.includes(":") === (family === 6));
  };
  const own = () => here.map((address) => ({ address }));
  const changed = (roster: Roster): void => void rosters.push(roster);
  const roster = new RosterKeeper({ ...QUESTION, address: null, ...question }, { changed, lookup, own });
  /** Asks, and waits until it is answered. */
  const ask = async (): Promise<Roster | undefined> => {
    const before = asked.length;
    roster.ask();
    await until("it was answered", () => asked.length >= before + 1 + (question.members?.length ?? 0));
    await Bun.sleep(0);
    return rosters.at(-1);
  };
  return { roster, rosters, asked, names, ask };
}

const ALL = ["10.0.0.2", "10.0.0.10", "10.0.0.1"];

describe("who there is", () => {
  test("is told once, and again when it is another answer; an answer's order is none", async () => {
    const { ask, names, rosters } = keeper({ mesh: ALL }, { address: "10.0.0.2" });
    expect(await ask()).toEqual({
      addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.10"],
      ...{ beyond: 0, own: "10.0.0.2", named: [], unresolved: null },
    });
    names["mesh"] = ALL.toReversed();
    await ask();
    expect(rosters).toHaveLength(1);
    names["mesh"] = ["10.0.0.2", "10.0.0.3"];
    expect((await ask())?.addresses).toEqual(["10.0.0.2", "10.0.0.3"]);
    expect(rosters).toHaveLength(2);
  });

  test("stays as it was while the resolver does not answer, and is gone when it says so twice in a row", async () => {
    const { ask, names } = keeper({ mesh: ALL }, { address: "10.0.0.2" });
    const before = await ask();
    names["mesh"] = "DNS_EAGAIN";
    const unresolved = "the resolver does not say what mesh is (DNS_EAGAIN)";
    expect(await ask()).toEqual({ ...before!, unresolved });
    names["mesh"] = "DNS_ENOTFOUND"; // as the last name of a search list is, when the question for the first was lost
    expect(await ask()).toEqual({ ...before!, unresolved });
    names["mesh"] = ALL;
    expect(await ask()).toEqual(before!);
    names["mesh"] = "DNS_ENOTFOUND";
    expect(await ask()).toEqual(before!);
    const none = "the resolver says that mesh has no IPv4 address"; // it has this member's at least, or is another name
    expect(await ask()).toEqual({ ...before!, addresses: ["10.0.0.2"], unresolved: none });
  });

  test("a resolver that does not answer at all is asked once, however often it is time", async () => {
    const late = Promise.withResolvers<readonly string[]>();
    const { roster, asked, rosters } = keeper({ mesh: late.promise }, { address: "10.0.0.2" });
    roster.ask();
    await until("it is said that it does not answer", () => rosters.length > 0);
    expect(rosters[0]?.unresolved).toBe("the resolver does not say what mesh is in time");
    for (let time = 0; time < 50; time++) roster.ask();
    late.resolve(ALL);
    await until("its answer counts when it comes", () => rosters.length > 1);
    expect(rosters[1]).toMatchObject({ addresses: { length: 3 }, unresolved: null });
    expect(asked).toEqual(["mesh 4"]);
  });

  test("nothing is told after the end", async () => {
    const { roster, ask, names, rosters } = keeper({ mesh: ALL }, { address: "10.0.0.2" });
    await ask();
    names["mesh"] = [];
    roster.end();
    await ask();
    expect(rosters).toHaveLength(1);
  });
});

describe("this member's own address", () => {
  const both = ["10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"];

  test("is the one that this machine has, of IPv4 first, and all others are of its version", async () => {
    const here = ["127.0.0.1", "fd00::2", "10.0.0.2"];
    const { ask, asked } = keeper({ mesh: both }, {}, here);
    expect(await ask()).toMatchObject({ own: "10.0.0.2", addresses: ["10.0.0.1", "10.0.0.2"] });
    await ask();
    expect(asked).toEqual(["mesh 0", "mesh 4"]); // one question a turn, once it is known which
  });

  test("is of IPv6 where that is what it has, or what is asked for", async () => {
    expect(await keeper({ mesh: both }, {}, ["fd00::2", "10.9.9.9"]).ask()).toMatchObject({
      own: "fd00::2",
      addresses: ["fd00::1", "fd00::2"],
    });
    const asked = keeper({ mesh: both }, { family: 6 }, ["fd00::2", "10.0.0.2"]);
    expect(await asked.ask()).toMatchObject({ own: "fd00::2", addresses: ["fd00::1", "fd00::2"] });
    const given = keeper({ mesh: both }, { address: "fd00:0::1" });
    expect(await given.ask()).toMatchObject({ own: "fd00::1", addresses: ["fd00::1", "fd00::2"] });
  });

  test("is not known as long as no name has it; then it stays when the name loses it", async () => {
    const { ask, names } = keeper({ mesh: ["10.0.0.1"] }, {}, ["10.0.0.2"]);
    expect(await ask()).toMatchObject({ own: null, addresses: ["10.0.0.1"] });
    names["mesh"] = ["10.0.0.1", "10.0.0.2"];
    expect((await ask())?.own).toBe("10.0.0.2");
    names["mesh"] = ["10.0.0.1"];
    expect(await ask()).toMatchObject({ own: "10.0.0.2", addresses: ["10.0.0.1", "10.0.0.2"] });
  });
});

describe("members that must be there", () => {
  test("have an address or none; one that is not answered keeps what it had", async () => {
    const names = { mesh: ALL, a: ["10.0.0.1"], b: "DNS_ENOTFOUND" };
    const { ask, names: now } = keeper(names, { address: "10.0.0.2", members: ["a", "b"] });
    expect((await ask())?.named).toEqual([
      { name: "a", address: "10.0.0.1" },
      { name: "b", address: null },
    ]);
    now["b"] = ["10.0.0.10"];
    await ask();
    now["a"] = [];
    expect((await ask())?.named[0]?.address).toBe("10.0.0.1"); // it may be another name's answer
    expect((await ask())?.named).toEqual([
      { name: "a", address: null },
      { name: "b", address: "10.0.0.10" },
    ]);
  });

  test("a name of several addresses is there by the one that is a member's, whatever order they have", async () => {
    const names = {
      mesh: ALL,
      a: ["10.0.0.0", "10.0.0.10"],
      b: ["10.0.9.2", "10.0.9.1"],
      c: ["10.0.0.0", "10.0.0.2"],
    };
    const { ask, names: now } = keeper(names, { address: "10.0.0.2", members: ["a", "b", "c"] });
    expect((await ask())?.named.map(({ address }) => address)).toEqual(["10.0.0.10", "10.0.9.1", "10.0.0.2"]);
    now["mesh"] = [...ALL, "10.0.0.0"];
    now["a"] = ["10.0.0.10", "10.0.0.0"];
    expect((await ask())?.named[0]?.address).toBe("10.0.0.0");
  });

  test("one whose name is not answered keeps its address, and does not keep the others from being asked", async () => {
    const names: Record<string, Answer> = { mesh: ALL, a: "DNS_EAGAIN", b: ["10.0.0.10"] };
    const { roster, rosters } = keeper(names, { address: "10.0.0.2", members: ["a", "b"] });
    await until("the other one is known", () => {
      roster.ask();
      return rosters.at(-1)?.named[1]?.address === "10.0.0.10";
    });
    names["b"] = "DNS_EAGAIN";
    names["a"] = ["10.0.0.1"];
    await until("it is known when it is answered", () => {
      roster.ask();
      return rosters.at(-1)?.named[0]?.address === "10.0.0.1";
    });
    expect(rosters.at(-1)?.named[1]?.address).toBe("10.0.0.10");
  });
});

test("members beyond the limit are counted, and this one is not among them", async () => {
  const mesh = Array.from({ length: 20 }, (_, at) => `10.0.1.${at}`);
  for (const address of mesh) {
    const roster = await keeper({ mesh }, { address, membersMax: 5 }).ask();
    expect(roster).toMatchObject({ own: address, beyond: 15, addresses: { length: 5 } });
    expect(roster?.addresses).toContain(address);
  }
});

test("an answer that cannot be one machine's address is nobody's", async () => {
  const bad = ["0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "127.0.0.1", "nonsense"];
  const { ask } = keeper({ mesh: [...bad, ...ALL, "240.0.0.9"] }, { address: "10.0.0.1" });
  expect((await ask())?.addresses).toEqual([...ALL.toSorted(), "240.0.0.9"].sort(byNumber));
  const six = keeper({ mesh: ["::", "::1", "ff02::1", "fd00::2"] }, { address: "fd00::1" });
  expect((await six.ask())?.addresses).toEqual(["fd00::1", "fd00::2"]);
});

function byNumber(a: string, b: string): number {
  const number = (text: string): number => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return number(a) - number(b);
}
