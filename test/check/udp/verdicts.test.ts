import { describe, expect, test } from "bun:test";
import { Failure, type FailureCode } from "../../../src/client/failure.ts";
import { resultOf } from "../../../src/diagnose/check/udp/result.ts";
import type { UdpFlowSeen, UdpSeen } from "../../../src/diagnose/check/udp/seen.ts";
import type { Note, Problem } from "../../../src/diagnose/result.ts";
import { formatEndpoint } from "../../../src/net/endpoint.ts";
import { banner, end } from "../fixtures.ts";
import { SETTINGS } from "./ask.ts";
import { ASKED, at, flow, OWN, seen, silent, told } from "./seen.ts";

/** What is said of what was measured: every verdict with its fields and its words. No socket. */

const FLOW = `udp ${OWN} > ${ASKED}`;
const SLICES = "kubectl get endpointslices -l kubernetes.io/service-name=echo-server";
/** The end of a flow that is not the first. */
const other = { own: end("10.244.3.9:40113") };

function problemsOf(flows: readonly UdpFlowSeen[], more: Partial<UdpSeen> = {}): readonly Problem[] {
  return resultOf(seen(flows, more)).problems;
}

function notesOf(flows: readonly UdpFlowSeen[], more: Partial<UdpSeen> = {}): readonly Note[] {
  return resultOf(seen(flows, more)).notes;
}

describe("refused", () => {
  test("by the end that was asked: nobody listens", () => {
    expect(problemsOf([told("refused", "10.96.0.7"), told("refused", "10.96.0.7")])).toEqual([
      {
        code: "refused",
        by: "10.96.0.7",
        flow: FLOW,
        says: "2 of 2 flows were refused (ICMP port unreachable) by 10.96.0.7",
        likely: "nobody listens on UDP port 5678 there",
        where: "far_end",
        next: SLICES,
      },
    ]);
  });

  test.each([
    ["10.0.0.1", "path", "a rule that rejects: a firewall's, or that of a Service without a ready endpoint"],
    [
      "10.244.3.9",
      "this_machine",
      "a rule that rejects: a firewall's, or that of a Service without a ready endpoint, on this machine",
    ],
    [null, "far_end", "nobody listens on UDP port 5678 there, or a firewall refuses"],
  ] as const)("by %s", (by, where, likely) => {
    expect(problemsOf([told("refused", by)])).toMatchObject([{ code: "refused", by, where, likely }]);
  });

  test("says of flows without any news that there are some, where nobody answers", () => {
    const problems = problemsOf([silent(), told("refused", "10.96.0.7"), silent()]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.says).toBe(
      "1 of 3 flows was refused (ICMP port unreachable) by 10.96.0.7; 2 more got no answer",
    );
  });

  test("of one backend is no loss, and a silent flow beside it is one", () => {
    const problems = problemsOf([flow(), told("refused", "10.96.0.7"), silent(other)]);
    expect(problems.map(({ code }) => code)).toEqual(["refused", "lost"]);
    expect(problems[0]?.says).toBe("1 of 3 flows was refused (ICMP port unreachable) by 10.96.0.7");
    expect(problems[1]).toMatchObject({ count: 10, flow: "udp 10.244.3.9:40113 > 10.96.0.7:5678" });
  });

  test("after answers: the server has ended meanwhile", () => {
    const { news } = told("refused", null);
    const problems = problemsOf([flow({ answered: 4, lost: 6 }, { news })]);
    expect(problems).toMatchObject([{ code: "refused", likely: "the server ended while it was asked" }]);
  });

  test("before answers: the server has begun meanwhile, and the first of other flows were lost to that", () => {
    const { news } = told("refused", null);
    const late = flow({ answered: 4, lost: 6 }, { firstBack: 6, news: [{ ...news[0]!, count: 2 }] });
    const untold = flow({ answered: 9, lost: 1 }, { ...other, firstBack: 1 });
    expect(problemsOf([late, untold])).toMatchObject([
      { code: "refused", likely: "the server began while it was asked" },
    ]);
  });

  test("of one backend among several is said to be so", () => {
    expect(problemsOf([flow(), told("refused", "10.96.0.7")])).toMatchObject([
      { likely: "one backend does not listen and is still in rotation", where: "far_end" },
    ]);
  });

  test("of one backend that tells of few: flows that hear nothing are no loss beside it", () => {
    const { news } = told("refused", "10.96.0.7");
    const few = silent({ news: [{ ...news[0]!, count: 6 }] });
    const problems = problemsOf([flow(), few, silent(other)]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.says).toBe(
      "1 of 3 flows was refused (ICMP port unreachable) by 10.96.0.7; 1 more got no answer",
    );
  });

  test("by a rule: its machine's rules are looked at, where no Service stands behind the name", () => {
    const asked = { ...seen([]).asked, name: "10.96.0.7" };
    expect(problemsOf([told("refused", "10.0.0.1")], { asked })).toMatchObject([
      { next: "nft list ruleset" },
    ]);
    expect(problemsOf([told("refused", "10.96.0.7")], { asked })).toMatchObject([
      { next: "ss -anup sport = :5678" },
    ]);
  });

  test("on this machine, where nobody tells by whom", () => {
    const flows = [
      silent({
        counts: { ...silent().counts, sent: 0, lost: 0 },
        notSent: new Failure("refused", 0, "ECONNREFUSED"),
      }),
    ];
    expect(problemsOf(flows)).toMatchObject([
      { code: "refused", by: null, where: "this_machine", next: "nft list ruleset" },
    ]);
  });

  test("by two: each has its line, the one of more flows first", () => {
    const flows = [told("refused", "10.0.0.1"), told("refused", "10.96.0.7"), told("refused", "10.96.0.7")];
    expect(problemsOf(flows).map(({ by }) => by)).toEqual(["10.96.0.7", "10.0.0.1"]);
  });
});

describe("unreachable", () => {
  test.each([
    ["10.0.0.1", "path", "a router on the way has no route there, or forbids it"],
    ["10.96.0.7", "far_end", "a firewall of the far end forbids it"],
    ["10.244.3.9", "far_end", "no machine on this link has that address: it is down, or gone"],
    [null, "path", "a router on the way has no route there, or forbids it, or nobody has that address"],
  ] as const)("by %s", (by, where, likely) => {
    const sender = by === null ? "" : ` by ${by}`;
    expect(problemsOf([told("unreachable", by, "EHOSTUNREACH")])).toEqual([
      {
        code: "unreachable",
        by,
        flow: FLOW,
        says: `1 of 1 flow was not delivered (EHOSTUNREACH)${sender}`,
        likely,
        where,
        next: "ip route get 10.96.0.7",
      },
    ]);
  });

  test.each([
    ["unreachable", "ENETUNREACH", "this machine has no route there"],
    ["no_ports_here", "EADDRNOTAVAIL", "this machine has no route there"],
    ["not_permitted_here", "EPERM", "a local firewall forbids it, or the source port is one for root"],
  ] as const)("from here: %s, %s", (code, detail, likely) => {
    const flows = [
      silent({ counts: { ...silent().counts, sent: 0, lost: 0 }, notSent: new Failure(code, 0, detail) }),
    ];
    const problems = problemsOf(flows);
    expect(problems).toMatchObject([{ code: "unreachable", by: null, where: "this_machine", likely }]);
    expect(problems[0]?.says).toContain(detail);
  });
});

describe("what this machine lacks", () => {
  const cases: [FailureCode, string, string][] = [
    ["no_ports_here", "no_ports_here", "after 1 flow this machine had no source port left"],
    ["no_descriptors_here", "no_descriptors_here", "after 1 flow no further socket could be opened (EMFILE)"],
    ["port_in_use_here", "no_ports_here", "source port 40112 is in use on this machine"],
    ["no_such_address", "unreachable", "this machine cannot send from 10.244.3.9"],
  ];
  test.each(cases)("%s", (failure, code, says) => {
    const settings = { ...SETTINGS, source: { address: at("10.244.3.9"), port: 40112 } };
    const problems = problemsOf([flow()], { notOpened: new Failure(failure, 0, "EMFILE"), settings });
    expect(problems).toMatchObject([{ code, says, where: "this_machine", flow: null }]);
  });

  test("a family that it has not", () => {
    const problems = problemsOf([], { notOpened: new Failure("no_such_address", 0, "EAFNOSUPPORT") });
    expect(problems).toMatchObject([{ code: "unreachable", by: null, likely: "it has no IPv6, or no IPv4" }]);
  });
});

describe("timeout", () => {
  test("is said where nothing came on any flow, and of that flow alone", () => {
    expect(problemsOf([silent(), silent(other)])).toEqual([
      {
        code: "timeout",
        flow: FLOW,
        says: "no answer to 20 datagrams of 2 flows, each within 1.00 s",
        likely: "a firewall or a NetworkPolicy drops them, the server hangs, or nobody is at that address",
        where: "path",
        next: "tcpdump -ni any udp port 5678",
      },
    ]);
  });

  test("of large ones: smaller ones may pass, and which is asked next", () => {
    const [problem] = problemsOf([silent()], { settings: { ...SETTINGS, size: 3000 } });
    expect(problem?.likely).toStartWith("3,000 bytes are too many for the way, a firewall or");
    expect(problem?.next).toBe("echo-server check --mtu udp://echo-server");
  });

  test("is not said where something came, nor of what was given up", () => {
    expect(problemsOf([silent(), flow()]).map(({ code }) => code)).toEqual(["lost"]);
    const given = silent({ counts: { ...silent().counts, lost: 0 } });
    expect(problemsOf([given], { interrupted: true })).toEqual([]);
    expect(problemsOf([flow(), silent()], { interrupted: true })).toEqual([]);
  });

  test("after news that they are too big: fragments are dropped", () => {
    const narrow = { mtu: 1400, by: at("10.0.0.1"), count: 1 };
    expect(problemsOf([silent({ narrow })])[0]?.likely).toContain("fragments");
  });
});

describe("lost", () => {
  test("all of one flow: a backend that is gone", () => {
    expect(problemsOf([flow(), silent(other)])).toEqual([
      {
        code: "lost",
        count: 10,
        flow: "udp 10.244.3.9:40113 > 10.96.0.7:5678",
        says: "10 of 20 datagrams did not come back, all of one flow",
        likely: "one backend is gone and still in rotation, or one of several equal ways is dead",
        where: "path",
        next: SLICES,
      },
    ]);
  });

  test("the first of each flow: what the way is made by", () => {
    const first = flow({ answered: 9, lost: 1 }, { firstBack: 1 });
    const problems = problemsOf([first, first, flow()]);
    expect(problems).toMatchObject([{ code: "lost", count: 2, next: "conntrack -S" }]);
    expect(problems[0]?.says).toBe("2 of 30 datagrams did not come back, the first of each of 2 flows");
  });

  test("the first of one flow of many is anywhere, as are others", () => {
    const first = flow({ answered: 9, lost: 1 }, { firstBack: 1 });
    const later = flow({ answered: 8, lost: 2 });
    const problems = problemsOf([first, flow(), flow(), later]);
    expect(problems).toMatchObject([{ code: "lost", count: 3 }]);
    expect(problems[0]?.says).toBe("3 of 40 datagrams did not come back, here and there in 2 flows");
    expect(problems[0]?.next).toBe("mtr --report --no-dns --udp --port 5678 10.96.0.7");
  });

  test("each kind has its line", () => {
    const first = flow({ answered: 9, lost: 1 }, { firstBack: 1 });
    const problems = problemsOf([first, first, flow({ answered: 9, lost: 1 }), silent()]);
    expect(problems.map(({ count }) => count)).toEqual([10, 2, 1]);
  });

  test("is none that came to another flow, nor any in whose place something else came", () => {
    const crossed = flow({ answered: 9, foreign: 1, replaced: 1 }, { astray: 1, crossed: 1 });
    expect(problemsOf([crossed, crossed]).map(({ code }) => code)).toEqual(["foreign"]);
    const given = flow({ answered: 9, lost: 1 }, { astray: 1 });
    const taken = flow({ foreign: 1 }, { crossed: 1 });
    const result = resultOf(seen([given, taken]));
    expect(result).toMatchObject({ sent: 20, received: 19, lost: 0, foreign: 1 });
    expect(result.problems).toMatchObject([{ code: "foreign" }]);
    expect(result.problems[0]?.likely).toContain("gives one client another's answers");
    const more = flow({ answered: 8, lost: 1, foreign: 1, replaced: 1 }, { astray: 1, crossed: 1 });
    expect(resultOf(seen([more]))).toMatchObject({ received: 8, lost: 1, foreign: 1 });
  });

  test("is this machine's where it had no room for what came", () => {
    const flooded = flow({ answered: 7, lost: 3 }, { dropped: 5000 });
    const result = resultOf(seen([flooded, flow()]));
    expect(result).toMatchObject({ ok: false, sent: 20, received: 17, lost: 3 });
    expect(result.problems).toMatchObject([
      {
        code: "lost",
        count: 3,
        where: "this_machine",
        says: "3 of 20 datagrams did not come back while this machine had no room for 5,000 that came to its port",
        likely: "somebody floods this port with datagrams that nobody asked for",
        next: "tcpdump -ni any udp port 40112",
      },
    ]);
    const settings = { ...SETTINGS, size: 65_507 };
    const [large] = resultOf(seen([flooded], { settings })).problems;
    expect(large).toMatchObject({ where: "this_machine", next: expect.stringContaining("rmem") });
    expect(large?.likely).toContain("65,507 bytes are more than a socket's receive buffer");
  });

  test("is this machine's up to what it threw away, and none where all came back", () => {
    const both = flow({ answered: 5, lost: 5 }, { dropped: 2 });
    expect(problemsOf([both]).map(({ count, where }) => [count, where])).toEqual([
      [2, "this_machine"],
      [3, "path"],
    ]);
    expect(problemsOf([flow({}, { dropped: 5000 })])).toEqual([]);
    const drowned = problemsOf([silent({ dropped: 5000 })]);
    expect(drowned.map(({ code, where }) => [code, where])).toEqual([["lost", "this_machine"]]);
    const refused = problemsOf([{ ...told("refused", "10.96.0.7"), dropped: 5000 }]);
    expect(refused.map(({ code }) => code)).toEqual(["refused"]);
  });

  test("first ones that teach a system that its packets are too big are none", () => {
    const narrow = { mtu: 1400, by: at("10.0.0.1"), count: 1 };
    const there = [
      flow({ answered: 9, lost: 1 }, { firstBack: 1, narrow }),
      flow({ answered: 9, lost: 1 }, { firstBack: 1 }),
    ];
    expect(problemsOf(there)).toEqual([]);
    expect(notesOf(there)).toMatchObject([{ code: "mtu_reduced", direction: "there", mtu: 1400 }]);
    const back = [flow({ answered: 9, lost: 1 }, { firstBack: 1, fragmentBytes: 1396 })];
    expect(problemsOf(back)).toEqual([]);
    expect(notesOf(back)).toMatchObject([{ code: "mtu_reduced", direction: "back", mtu: 1396 }]);
  });

  test("some, beside wrong bytes and without a banner, is of no flow that was greeted", () => {
    const strange = flow({ answered: 0, lost: 4, foreign: 6, replaced: 6 }, { firstBack: null });
    const problems = problemsOf([strange, flow({}, other)]);
    expect(problems.map(({ code }) => code)).toEqual(["lost", "foreign"]);
    expect(problems[0]?.says).toBe("4 of 20 datagrams did not come back, some of one flow");
  });

  test("is none of the path where nothing that answers is an echo", () => {
    const strange = flow({ answered: 0, lost: 9, foreign: 1, replaced: 1 }, { firstBack: null });
    const problems = problemsOf([strange, silent(other)]);
    expect(problems.map(({ code }) => code)).toEqual(["foreign"]);
    expect(problems[0]?.says).toBe(
      "1 answer held what the flow did not send; 19 of 20 datagrams got no answer",
    );
  });

  test("all that is larger than the banner which came", () => {
    const greeted = flow(
      { answered: 0, lost: 10 },
      { firstBack: null, banner: banner(ASKED, OWN, { length: 100 }) },
    );
    const large = problemsOf([greeted], { settings: { ...SETTINGS, size: 1400 } });
    expect(large).toMatchObject([
      { code: "lost", where: "path", next: "echo-server check --mtu udp://echo-server" },
    ]);
    expect(problemsOf([greeted])).toMatchObject([{ code: "lost", where: "far_end" }]);
  });
});

describe("answers that are wrong", () => {
  test("from another address: both are named", () => {
    const strangers = [{ from: "10.96.0.8:5678", count: 10 }];
    expect(problemsOf([flow({}, { strangers })])).toEqual([
      {
        code: "other_address",
        from: "10.96.0.8:5678",
        flow: FLOW,
        says: "10 answers to 10.96.0.7:5678 came from 10.96.0.8:5678",
        likely:
          "the server listens on all of its addresses and answers from the wrong one, or the way back misses a translation",
        where: "far_end",
        next: "ss -anup sport = :5678",
      },
    ]);
    const port = problemsOf([flow({}, { strangers: [{ from: "10.96.0.7:999", count: 1 }] })]);
    expect(port[0]?.likely).toStartWith("the server answers from another socket");
  });

  test("doubled, changed and foreign have their counts and the flow's own port", () => {
    const flows = [
      flow(),
      flow({ answered: 9, corrupted: 1, replaced: 1, duplicated: 3, foreign: 2 }, other),
    ];
    const problems = problemsOf(flows);
    expect(problems.map(({ code, count, where }) => [code, count, where])).toEqual([
      ["duplicated", 3, "path"],
      ["corrupted", 1, "far_end"],
      ["foreign", 2, "far_end"],
    ]);
    for (const { flow: name, next } of problems) {
      expect(name).toBe("udp 10.244.3.9:40113 > 10.96.0.7:5678");
      expect(next).toBe("tcpdump -ni any udp port 40113");
    }
    expect(problems.map(({ says }) => says)).toEqual([
      "3 answers came again, beside 19 that came once",
      "1 answer to 20 datagrams came with other bytes than were sent",
      "2 answers held what the flow did not send",
    ]);
  });

  test("out of order are a note", () => {
    expect(problemsOf([flow({ reordered: 2 })])).toEqual([]);
    expect(notesOf([flow({ reordered: 2 })])).toEqual([
      { code: "reordered", count: 2, says: "2 of 10 answers came after that to a later datagram" },
    ]);
  });
});

describe("notes", () => {
  const greeted = (server: string, more: Partial<UdpFlowSeen> = {}): UdpFlowSeen =>
    flow({}, { banner: banner(server, OWN), ...more });

  test("of translation and of an uneven spread are there", () => {
    const one = Array.from({ length: 38 }, () => greeted("10.244.1.2:5678"));
    const two = Array.from({ length: 2 }, () => greeted("10.244.2.2:5678"));
    expect(notesOf([...one, ...two]).map(({ code }) => code)).toEqual(["destination_translated", "uneven"]);
  });

  test("of what needs Linux are there without it, and not with it", () => {
    expect(notesOf([greeted(ASKED)])).toEqual([]);
    expect(notesOf([greeted(ASKED)], { bySystemCalls: false })).toMatchObject([{ code: "not_measured" }]);
  });

  test("of a missing banner: among others, and of a source port", () => {
    expect(notesOf([flow(), flow()])).toEqual([]);
    expect(notesOf([flow(), greeted(ASKED)])[0]?.says).toStartWith("who answered 1 of 2 flows: not measured");
    const settings = { ...SETTINGS, flows: 1, source: { port: 40112 } };
    expect(notesOf([flow()], { settings }).map(({ says }) => says)).toEqual([
      "who answered: not measured (the session of source port 40112 may have had its banner before)",
    ]);
  });
});

describe("the result", () => {
  test("has fewest hops of all flows, from the nearest first TTL", () => {
    const hops = (...ttls: (number | null)[]) => resultOf(seen(ttls.map((ttl) => flow({}, { ttl })))).hops;
    expect(hops(62, 61, null)).toEqual({ there: null, back: 2 });
    expect(hops(128)).toEqual({ there: null, back: 0 });
    expect(hops(65)).toEqual({ there: null, back: 63 });
    expect(hops(250)).toEqual({ there: null, back: 5 });
    expect(hops(null)).toBeNull();
  });

  test("knows this end of flows that nobody answered", () => {
    expect(resultOf(seen([silent()])).source).toMatchObject({ own: "10.244.3.9", seen: null });
  });

  test("is not well without an answer, whatever the reason", () => {
    const silence = silent({ counts: { ...silent().counts, lost: 0 } });
    expect(resultOf(seen([silence], { interrupted: true }))).toMatchObject({ ok: false, problems: [] });
    expect(resultOf(seen([flow()])).ok).toBe(true);
    expect(resultOf(seen([flow()])).destination.asked).toBe(formatEndpoint(end(ASKED)));
  });
});
