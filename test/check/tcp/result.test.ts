import { expect, test } from "bun:test";
import { Failure } from "../../../src/client/failure.ts";
import { resultOf } from "../../../src/diagnose/check/tcp/result.ts";
import { banner, end } from "../fixtures.ts";
import { BULK, codes, ended, flow, seen, ten, trips, unconnected, wrong } from "./fixtures.ts";

const PATH_MTU = (there: number) => ({
  there,
  back: null,
  largestThere: null,
  largestBack: null,
  holesThere: null,
  holesBack: null,
  fragmentsThere: null,
  fragmentsBack: null,
});

test("of ten sessions where all is well every field is told", () => {
  const once = (ms: number) => trips(1, ms).quantiles();
  expect(resultOf(seen(ten(() => null)))).toEqual({
    target: "tcp://echo-server",
    protocol: "tcp",
    name: "echo-server",
    address: "10.96.0.7",
    port: 1234,
    ok: true,
    resolveMs: 0.8,
    flows: 10,
    flowsAnswered: 10,
    servers: [{ server: "10.96.0.7:1234", pod: null, node: null, flows: 10 }],
    source: { own: "10.244.3.9", seen: ["10.244.3.9"], addressTranslated: false, portTranslated: false },
    destination: { asked: "10.96.0.7:1234", translated: false },
    connectMs: { ...once(0.2)!, p50: expect.closeTo(0.2, 2) },
    firstByteMs: { ...once(0.3)!, p50: expect.closeTo(0.3, 2) },
    rttMs: { min: 0.1, p50: expect.closeTo(0.1, 2), p99: expect.closeTo(0.1, 2), max: 0.1 },
    sent: 200,
    received: 200,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    foreign: 0,
    synRetransmits: 0,
    halfClose: "whole",
    bulkBytes: 1_048_576,
    tcp: { mss: 1448, retransmits: 0, kernelRttMs: 0.1 },
    hops: null,
    mtu: PATH_MTU(1500),
    problems: [],
    notes: [],
  });
});

test("what the kernel does not tell is null", () => {
  const blind = { synRetransmits: null, info: null, retransmits: null, bulk: { ...BULK, pathMtu: null } };
  const result = resultOf(seen([flow(0, blind)], { bySystemCalls: false }));
  expect(result).toMatchObject({ ok: true, synRetransmits: null, tcp: null, mtu: null, halfClose: "whole" });
  expect(codes(result)).toEqual(["not_measured"]);
});

test("of sessions that could not be begun nothing is measured but where they would have come from", () => {
  const result = resultOf(seen(ten((number) => unconnected(number, new Failure("refused")))));
  expect(result).toMatchObject({
    ok: false,
    flows: 10,
    flowsAnswered: 0,
    servers: null,
    source: { own: "10.244.3.9", seen: null, addressTranslated: null, portTranslated: null },
    destination: { asked: "10.96.0.7:1234", translated: null },
    connectMs: null,
    firstByteMs: null,
    rttMs: null,
    sent: 0,
    lost: 0,
    synRetransmits: null,
    halfClose: null,
    bulkBytes: null,
    tcp: null,
    mtu: null,
  });
  expect(codes(result)).toEqual(["refused"]);
});

test("each message is counted once: lost, or as what came in its place", () => {
  const flows = [
    ended(0, "silent", 3),
    ended(1, "corrupted", 4, { wrong: wrong() }),
    ended(2, "corrupted", 0, { wrong: wrong({ what: "foreign" }) }),
    ended(3, "corrupted", 1, { wrong: wrong({ what: "duplicated" }) }),
    flow(4),
  ];
  expect(resultOf(seen(flows))).toMatchObject({
    flows: 5,
    flowsAnswered: 4,
    sent: 4 + 5 + 1 + 2 + 20,
    received: 3 + 4 + 0 + 1 + 20,
    lost: 1,
    corrupted: 1,
    foreign: 1,
    duplicated: 1,
    reordered: 0,
  });
});

test("nothing that was measured is not well", () => {
  expect(resultOf(seen([]))).toMatchObject({ ok: false, flows: 0, problems: [] });
});

test("who answered, what was translated and an uneven spread are told as of UDP", () => {
  const flows = Array.from({ length: 40 }, (_, number) =>
    flow(number, { banner: banner(number < 38 ? "10.244.1.2:1234" : "10.244.2.2:1234", "10.89.0.12:9") }),
  );
  const result = resultOf(seen(flows));
  expect(codes(result)).toEqual(["source_translated", "destination_translated", "uneven"]);
  expect(result).toMatchObject({ ok: true, servers: [{ flows: 38 }, { flows: 2 }] });
});

test("segments that were sent again are those of all sessions, SYNs apart", () => {
  const flows = ten((number) => flow(number, { synRetransmits: number === 0 ? 1 : 0, retransmits: 2 }));
  expect(resultOf(seen(flows))).toMatchObject({ synRetransmits: 1, tcp: { retransmits: 20 } });
});

test("a link-local address is told with its zone", () => {
  const own = end("[fe80::2%eth0]:40000");
  const base = seen([flow(0, { own, banner: null })]);
  const result = resultOf({ ...base, asked: { ...base.asked, endpoint: end("[fe80::1%eth0]:1234") } });
  expect(result).toMatchObject({ address: "fe80::1%eth0", destination: { asked: "[fe80::1%eth0]:1234" } });
});
