import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Cell, Kind, Way } from "../../src/diagnose/fleet/cell.ts";
import { junitText } from "../../src/diagnose/fleet/junit.ts";
import type { Fleet } from "../../src/diagnose/fleet/members.ts";
import { problemsOf } from "../../src/diagnose/fleet/problems.ts";
import { jsonText, reportLines } from "../../src/diagnose/fleet/report.ts";
import type { FleetReport } from "../../src/diagnose/fleet/result.ts";
import { textOf, WIDTH } from "../../src/diagnose/layout.ts";
import type { Problem } from "../../src/diagnose/result.ts";
import { badResult } from "./fixtures.ts";
import { FLEET_REPORT } from "./schema.ts";

/** What is told of cells, whatever they are: words, JSON, JUnit. */

const FLEET: Fleet = { namespace: "echo-server", members: [], services: [], policies: [], leaving: [] };

function cell(part: Partial<Cell>, kind: Kind | null = null): Cell {
  const protocol = part.protocol ?? "tcp";
  const bad = badResult(kind ?? "nothing", protocol);
  const well = {
    ...bad,
    ok: true,
    flowsAnswered: 3,
    problems: [],
    rttMs: { min: 0.1, p50: 0.123, p99: 0.2, max: 0.3 },
  };
  const ok = part.ok === undefined ? kind === null : part.ok;
  return {
    from: "server1",
    fromNode: "node1",
    to: "server2",
    toNode: "node2",
    way: "pod",
    protocol,
    why: ok === null ? "it was not asked" : null,
    policy: null,
    result: ok === null ? null : ok ? well : bad,
    ...part,
    ok,
  };
}

function report(cells: readonly Cell[]): FleetReport {
  const problems = problemsOf(cells, FLEET, "kubectl");
  return {
    tool: "fleet",
    version: 1,
    ok: problems.length === 0,
    startedAt: "2026-11-26T05:00:00.000Z",
    seconds: 2.5,
    namespace: "echo-server",
    family: 4,
    cells,
    problems,
    notes: [],
  };
}

const text = (cells: readonly Cell[]): string => textOf(reportLines(report(cells)), false);

describe("the matrix", () => {
  const both = (part: Partial<Cell>, tcp: Kind | null, udp: Kind | null): Cell[] => [
    cell({ ...part, protocol: "tcp" }, tcp),
    cell({ ...part, protocol: "udp" }, udp),
  ];

  test("has a word and a figure in each cell", () => {
    const back = { from: "server2", fromNode: "node2", to: "server1", toNode: "node1" };
    const shown = text([...both({}, null, "nothing"), ...both(back, "nothing", "nothing")]);
    expect(shown).toContain(
      [
        "by Pod address",
        "  from / to        server1            server2",
        "  server1 (node1)        .  ok 0.12 / timeout",
        "  server2 (node2)  timeout                  .",
        "tcp / udp; the figures are round trips, p50 in ms; - is not measured",
      ].join("\n"),
    );
  });

  test("of a way that nobody could take is not shown, but why", () => {
    const shown = text([
      ...both({}, null, null),
      cell({ way: "self", to: "server1", ok: null, why: "it has none" }),
    ]);
    expect(shown).not.toContain("by a Service");
    expect(shown).toContain(
      "not measured  from server1 to itself through a Service of its own (hairpin): it has none",
    );
  });

  test("of long names has numbers, and says whose they are", () => {
    const node = "ip-10-0-12-34.eu-central-1.compute.internal";
    const shown = text(both({ way: "nodeport", to: node, toNode: node, fromNode: node }, null, null));
    expect(shown).toContain(`by a node's port\n  to 1 ${node}\n`);
  });
});

test("three in a row that have nothing in common are not told of as if they had", () => {
  const cells = ["a", "b", "c", "d", "e", "f"].flatMap((from, at) => [
    cell({ from, fromNode: from, to: "x", toNode: "x" }, at % 2 === 0 ? "nothing" : null),
    cell({ from, fromNode: from, to: "y", toNode: "y" }, at % 2 === 0 ? null : "nothing"),
  ]);
  const { problems } = report(cells);
  expect(problems).toHaveLength(3);
  expect(problems.map(({ says }) => says)).toContain("4 ways fail that share nothing with others");
});

const name = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,60}[a-z0-9])?$/);
const cells: fc.Arbitrary<Cell[]> = fc
  .record({
    members: fc.uniqueArray(name, { minLength: 1, maxLength: 14 }),
    nodes: fc.array(name, { minLength: 1, maxLength: 5 }),
  })
  .chain(({ members, nodes }) => {
    const nodeOf = (member: string): string => nodes[members.indexOf(member) % nodes.length]!;
    const ways: Way[] = ["pod", "name", "self"];
    const all = members.flatMap((from) =>
      members.flatMap((to) =>
        ways
          .filter((way) => (way === "self") === (from === to))
          .flatMap((way) =>
            (["tcp", "udp"] as const).map((protocol) => ({
              from,
              fromNode: nodeOf(from),
              to,
              toNode: nodeOf(to),
              way,
              protocol,
            })),
          ),
      ),
    );
    const outcome = fc.constantFrom("well" as const, "well", "open", "nothing", "large", "some");
    return fc.array(outcome, { minLength: all.length, maxLength: all.length }).map((outcomes) =>
      all.map((part, at) => {
        const its = outcomes[at]!;
        if (its === "well") return cell(part);
        return its === "open"
          ? cell({ ...part, ok: null, why: 'kubectl <cannot> & "enter" it \u0007' })
          : cell(part, its);
      }),
    );
  });

test("whatever the cells: no line over 100 columns, JSON of the shape, well-formed XML", () => {
  fc.assert(
    fc.property(cells, (all) => {
      const found = report(all);
      for (const { text } of reportLines(found)) {
        expect(text.length).toBeLessThanOrEqual(WIDTH);
        expect(text).not.toMatch(/undefined|\n/);
      }
      const ok = found.ok && all.some((each) => each.ok !== null);
      FLEET_REPORT.parse(JSON.parse(jsonText({ ...found, ok })));
      const xml = junitText(found);
      expect(faultIn(xml)).toBeNull();
      expect(xml.match(/<testcase /g) ?? []).toHaveLength(all.length);
      expect(xml.match(/<failure /g) ?? []).toHaveLength(all.filter((each) => each.ok === false).length);
      expect(xml.match(/<skipped /g) ?? []).toHaveLength(all.filter((each) => each.ok === null).length);
    }),
    { numRuns: 60 },
  );
});

test("XML that is not well-formed would be found", () => {
  for (const bad of [
    "<a><b></a></b>",
    "<a x='1'/>",
    '<a x="<"/>',
    "<a>&</a>",
    "<a>",
    '<a x="1" x="2"/>',
    "<a>\u0007</a>",
  ])
    expect(faultIn(bad)).not.toBeNull();
  expect(faultIn('<?xml version="1.0"?>\n<a x="&lt;1&gt;"><b/>c &amp; d</a>\n')).toBeNull();
});

/** What is wrong with an XML text that has elements, attributes in double quotes and texts; null where nothing is. */
function faultIn(xml: string): string | null {
  if (/[^\t\n\r -\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(xml)) return "a character that XML has not";
  const open: string[] = [];
  let rest = xml.replace(/^<\?xml [^?]*\?>/, "");
  while (rest !== "") {
    const [all = "", end, start, attributes, self, words] =
      /^(?:<\/(\w+)>|<(\w+)((?: \w+="(?:[^<&"]|&(?:lt|gt|amp|quot);)*")*)(\/?)>|((?:[^<&]|&(?:lt|gt|amp|quot);)+))/.exec(
        rest,
      ) ?? [];
    if (all === "") return `at ${rest.slice(0, 40)}`;
    const names = [...(attributes ?? "").matchAll(/ (\w+)=/g)].map(([, each]) => each);
    if (new Set(names).size !== names.length) return `an attribute twice at ${rest.slice(0, 40)}`;
    if (end !== undefined && open.pop() !== end) return `</${end}> out of place`;
    if (start !== undefined && self === "") open.push(start);
    if (words !== undefined && open.length === 0 && words.trim() !== "") return "text outside";
    rest = rest.slice(all.length);
  }
  return open.length === 0 ? null : `<${open.at(-1)}> is not closed`;
}

test("who refuses or accepts is there: the node is not said to be down", () => {
  const likely = (code: Problem["code"]): string[] => {
    const failing = (part: Partial<Cell>): Cell => {
      const bad = badResult("nothing", "tcp");
      const problems = bad.problems.map((each) => ({ ...each, code }));
      return cell({ ...part, result: { ...bad, problems } }, "nothing");
    };
    const others = [failing({}), failing({ from: "server3", fromNode: "node3", way: "name" })];
    const well = cell({ to: "server3", toNode: "node3" });
    return report([...others, well]).problems.map((problem) => problem.likely);
  };
  expect(likely("refused")).toEqual(["no server runs on node2, or a firewall there refuses"]);
  expect(likely("silent")).toEqual(["what accepts on node2 does not serve: it is stopped, or far too busy"]);
  expect(likely("timeout")).toEqual(["node2 is down, is cut off, or drops what comes to its Pods"]);
});

test("a policy is named for all that it forbids, whether or not a Pod reaches itself", () => {
  const servers = [1, 2, 3, 4];
  const nodeOf = (number: number): string => `node${(number % 2) + 1}`;
  const all = (selfPasses: boolean): Cell[] =>
    (["tcp", "udp"] as const).flatMap((protocol) =>
      servers.flatMap((from) =>
        servers.flatMap((to) => {
          const ways: readonly Way[] = from === to ? ["self"] : ["pod", "name"];
          const fails = protocol === "udp" && !(selfPasses && from === to);
          const policy = protocol === "udp" ? "no-udp" : null;
          const ends = {
            from: `server${from}`,
            fromNode: nodeOf(from),
            to: `server${to}`,
            toNode: nodeOf(to),
          };
          return ways.map((way) => cell({ ...ends, way, protocol, policy }, fails ? "nothing" : null));
        }),
      ),
    );
  for (const selfPasses of [true, false]) {
    const says = report(all(selfPasses)).problems.map((problem) => problem.says);
    expect(says).toHaveLength(1);
    expect(says[0]).toStartWith("NetworkPolicy no-udp forbids it: no UDP passes");
  }
});

test("where two nodes alone could be measured they are named, not the network of all", () => {
  const asked = (from: number, to: number, kind: Kind | null): Cell =>
    cell(
      {
        from: `server${from}`,
        fromNode: `node${from}`,
        to: `server${to}`,
        toNode: `node${to}`,
        protocol: "udp",
      },
      kind,
    );
  const self = cell({ to: "server1", toNode: "node1", way: "self", protocol: "udp" });
  const two = [
    asked(1, 2, "nothing"),
    asked(2, 1, "nothing"),
    { ...asked(1, 2, "nothing"), way: "name" as const },
    self,
  ];
  expect(report(two).problems.map(({ says }) => says)).toEqual([
    "no UDP passes between node1 and node2; which of the two ways is dead an echo cannot tell",
  ]);
  const three = [...two, asked(1, 3, "nothing"), asked(3, 2, "nothing")];
  expect(report(three).problems.map(({ says }) => says)).toEqual(["no UDP passes from one node to another"]);
});

test("a verdict that came once came once", () => {
  const refused = badResult("nothing", "udp");
  const other = {
    ...refused,
    problems: refused.problems.map((each) => ({ ...each, code: "refused" as const })),
  };
  const cells = [cell({}, "nothing"), { ...cell({ way: "name" }, "nothing"), result: other }];
  expect(text(cells)).toContain("(2 questions: timeout once and refused once)");
});

test("a server that is stopped is one problem: by the Service it does not reach itself either", () => {
  const servers = [1, 2, 3];
  const cells = servers.flatMap((from) => {
    const asker = { from: `server${from}`, fromNode: `node${from}` };
    const others = servers.filter((to) => to !== from);
    const direct = others.flatMap((to) =>
      (["pod", "name"] as const).map((way) =>
        cell({ ...asker, to: `server${to}`, toNode: `node${to}`, way }, to === 2 ? "nothing" : null),
      ),
    );
    return [...direct, cell({ ...asker, to: "echo-server", toNode: null, way: "service" }, "some")];
  });
  expect(report(cells).problems.map((problem) => problem.cells.length)).toEqual([7]);
});
