import type { CheckReport, CheckResult, Note, Problem, ProblemCode } from "../../src/diagnose/result.ts";

/** Results as checks give them, one at least for every verdict: what a report must be able to tell. */

const WELL_TCP: CheckResult = {
  target: "echo-server",
  protocol: "tcp",
  name: "echo-server",
  address: "10.96.0.7",
  port: 1234,
  ok: true,
  resolveMs: 0.83,
  flows: 10,
  flowsAnswered: 10,
  servers: [
    { server: "10.244.1.2:1234", pod: "server1-7c9d6b5f4-x2lqk", node: "node1", flows: 6 },
    { server: "10.244.2.2:1234", pod: "server2-5d8f9c7b6-p8w2z", node: "node2", flows: 4 },
  ],
  source: { own: "10.244.3.9", seen: ["10.244.3.9"], addressTranslated: false, portTranslated: false },
  destination: { asked: "10.96.0.7:1234", translated: true },
  connectMs: { min: 0.041, p50: 0.12, p99: 0.9, max: 1.02 },
  firstByteMs: { min: 0.1, p50: 0.2, p99: 0.31, max: 0.4 },
  rttMs: { min: 0.0512, p50: 0.08, p99: 0.201, max: 12.31 },
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
  tcp: { mss: 1448, retransmits: 0, kernelRttMs: 0.104 },
  hops: null,
  mtu: {
    there: 1500,
    back: null,
    largestThere: null,
    largestBack: null,
    holesThere: null,
    holesBack: null,
    fragmentsThere: null,
    fragmentsBack: null,
  },
  problems: [],
  notes: [
    {
      code: "destination_translated",
      says: "10.96.0.7:1234 was answered by 10.244.1.2:1234 and 10.244.2.2:1234",
    },
  ],
};

const WELL_UDP: CheckResult = {
  ...WELL_TCP,
  protocol: "udp",
  target: "udp://10.244.1.2",
  name: "10.244.1.2",
  address: "10.244.1.2",
  port: 5678,
  resolveMs: null,
  servers: [{ server: "10.244.1.2:5678", pod: null, node: null, flows: 10 }],
  destination: { asked: "10.244.1.2:5678", translated: false },
  connectMs: null,
  firstByteMs: null,
  synRetransmits: null,
  halfClose: null,
  bulkBytes: null,
  tcp: null,
  hops: { there: null, back: 2 },
  mtu: {
    there: 1400,
    back: 1400,
    largestThere: 65_507,
    largestBack: 65_507,
    holesThere: [],
    holesBack: [],
    fragmentsThere: true,
    fragmentsBack: true,
  },
  notes: [
    {
      code: "mtu_reduced",
      direction: "both",
      mtu: 1400,
      says: "1,400 bytes each way, the interface has 1,500; larger ones pass in fragments",
    },
  ],
};

/** What a plain echo without a banner leaves open, and sockets that tell little. */
const WELL_UNKNOWN: CheckResult = {
  ...WELL_UDP,
  servers: null,
  source: { own: null, seen: null, addressTranslated: null, portTranslated: null },
  destination: { asked: "[fd00::1]:5678", translated: null },
  target: "udp://[fd00::1]",
  name: "fd00::1",
  address: "fd00::1",
  hops: null,
  mtu: null,
  notes: [{ code: "not_measured", says: "hops back (needs Linux)" }],
};

const UDP_FLOW = "udp 10.244.3.9:40112 > 10.244.1.2:5678";
const TCP_FLOW = "tcp 10.244.3.9:52002 > 10.96.0.7:1234";

const problem = (
  code: ProblemCode,
  rest: Omit<Problem, "code" | "likely" | "where" | "next" | "flow"> & Partial<Problem>,
): Problem => ({
  code,
  flow: UDP_FLOW,
  likely: "one backend is gone and still in rotation",
  where: "path",
  next: "kubectl get endpointslices -l kubernetes.io/service-name=echo-server",
  ...rest,
});

function udp(problem: Problem, rest: Partial<CheckResult> = {}): CheckResult {
  return { ...WELL_UDP, ok: false, notes: [], problems: [problem], ...rest };
}

function tcp(found: Problem, rest: Partial<CheckResult> = {}): CheckResult {
  return { ...WELL_TCP, ok: false, notes: [], problems: [{ ...found, flow: TCP_FLOW }], ...rest };
}

const NOTHING: Partial<CheckResult> = {
  flowsAnswered: 0,
  received: 0,
  servers: null,
  source: { own: "10.244.3.9", seen: null, addressTranslated: null, portTranslated: null },
  connectMs: null,
  firstByteMs: null,
  rttMs: null,
  synRetransmits: null,
  halfClose: null,
  bulkBytes: null,
  tcp: null,
  hops: null,
  mtu: null,
};

/** One of each code. */
export const PROBLEMS: Readonly<Record<ProblemCode, CheckResult>> = {
  no_such_name: udp(
    problem("no_such_name", {
      says: "the resolver says that there is no address of that name: nobody",
      flow: null,
      where: "this_machine",
      next: "getent ahosts nobody",
    }),
    { ...NOTHING, name: "nobody", target: "nobody", address: null, flows: 0, sent: 0 },
  ),
  refused: tcp(
    problem("refused", {
      says: "10 of 10 connects were refused by 10.96.0.7",
      by: "10.96.0.7",
      where: "far_end",
    }),
    NOTHING,
  ),
  unreachable: udp(
    problem("unreachable", { says: "10.97.3.1 says by ICMP that there is no way", by: "10.97.3.1" }),
    NOTHING,
  ),
  timeout: udp(
    problem("timeout", { says: "nothing came at all, to 200 datagrams of 10 flows in 2.00 s", next: null }),
    NOTHING,
  ),
  silent: tcp(
    problem("silent", {
      says: "connected, and then neither a banner nor an echo came in 2.00 s",
      where: "far_end",
    }),
    { ...NOTHING, connectMs: WELL_TCP.connectMs },
  ),
  reset: tcp(problem("reset", { says: "1 of 10 sessions was reset after 1,280 bytes", bytes: 1280 }), {
    flowsAnswered: 9,
  }),
  closed: tcp(problem("closed", { says: "10 of 10 sessions ended early by a FIN after 0 bytes", bytes: 0 })),
  other_address: udp(
    problem("other_address", {
      says: "10.244.1.2:5678 was asked, and 10.244.1.3:5678 answered",
      from: "10.244.1.3:5678",
      where: "far_end",
    }),
  ),
  lost: udp(problem("lost", { says: "20 of 200 datagrams did not come back, all of one flow", count: 20 }), {
    received: 180,
    lost: 20,
    flowsAnswered: 9,
  }),
  duplicated: udp(problem("duplicated", { says: "3 of 200 datagrams came back more than once", count: 3 }), {
    duplicated: 3,
  }),
  corrupted: udp(problem("corrupted", { says: "2 of 200 datagrams came back with other bytes", count: 2 }), {
    corrupted: 2,
    received: 198,
  }),
  foreign: udp(problem("foreign", { says: "1 datagram came that this flow did not send", count: 1 }), {
    foreign: 1,
  }),
  syn_lost: tcp(
    problem("syn_lost", {
      says: "5 of 10 connects needed their SYN again, and took 1.04 s, while echoes take 0.20 ms",
      count: 5,
    }),
    {
      synRetransmits: 5,
      connectMs: { min: 0.1, p50: 1020, p99: 1041, max: 1041 },
    },
  ),
  half_close_cut: tcp(
    problem("half_close_cut", {
      says: "after our FIN the rest ended after 4,096 of 65,536 bytes",
      bytes: 4096,
      where: "far_end",
    }),
    { halfClose: "cut" },
  ),
  half_close_no_end: tcp(
    problem("half_close_no_end", {
      says: "after our FIN the rest came whole, and then no end in 2.00 s",
      where: "far_end",
    }),
    { halfClose: "no_end" },
  ),
  mtu_black_hole: udp(
    problem("mtu_black_hole", {
      says: "datagrams of 1,373 to 1,472 bytes vanish on the way there, and nobody says so",
      mtu: 1400,
      direction: "there",
      next: "ip link show",
    }),
    {
      mtu: { ...WELL_UDP.mtu!, there: 1400, back: 1500, holesThere: [[1373, 1472]] },
    },
  ),
  fragments_lost: udp(
    problem("fragments_lost", { says: "datagrams that need fragments do not come back", direction: "back" }),
    {
      mtu: {
        ...WELL_UDP.mtu!,
        largestThere: null,
        largestBack: 1472,
        fragmentsThere: null,
        fragmentsBack: false,
      },
    },
  ),
  size_hole: udp(
    problem("size_hole", {
      says: "datagrams of 1,473 to 1,475 bytes are lost on the way back",
      direction: "back",
      holes: [[1473, 1475]],
    }),
    {
      mtu: {
        ...WELL_UDP.mtu!,
        there: 1500,
        back: 1500,
        holesBack: [
          [1473, 1475],
          [2953, 2953],
        ],
      },
    },
  ),
  no_ports_here: tcp(
    problem("no_ports_here", {
      says: "this machine has no port left for another flow to that end",
      where: "this_machine",
      next: "ss -s",
    }),
    { ...NOTHING, flows: 0, sent: 0 },
  ),
  no_descriptors_here: udp(
    problem("no_descriptors_here", {
      says: "this process is out of file descriptors",
      where: "this_machine",
      next: "ulimit -n",
    }),
    { ...NOTHING, flows: 0, sent: 0 },
  ),
};

const note = (code: Note["code"], says: string): Note => ({ code, says });

/** Results without a problem. */
export const WELL: readonly CheckResult[] = [
  WELL_TCP,
  WELL_UDP,
  WELL_UNKNOWN,
  {
    ...WELL_UDP,
    name: "server1.headless",
    address: "fe80::1%eth0",
    reordered: 2,
    notes: [
      note("reordered", "2 of 200 datagrams came back after later ones"),
      note("source_translated", "10.244.3.9 was seen as 10.89.0.12"),
      note("uneven", "server1 answered 10 of 10 flows: chance alone gives 0 to 10"),
      note("not_measured", "4 of the 20 addresses of server1.headless: --max-addresses is 16"),
    ],
  },
];

export function reportOf(results: readonly CheckResult[], rest: Partial<CheckReport> = {}): CheckReport {
  const ok = results.every((result) => result.ok);
  const startedAt = "2026-11-25T22:50:00.000Z";
  return { tool: "check", version: 1, ok, startedAt, seconds: 1.4234, attempts: 1, results, ...rest };
}
