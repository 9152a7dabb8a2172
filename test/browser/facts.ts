import type { MeshMember, MeshPair, MeshResult } from "../../src/diagnose/mesh/result.ts";
import type { FleetFacts, PageFacts, SessionFacts } from "../../src/page/facts.ts";

/** What servers and probers tell, made up. */

export const AT = "2026-11-25T22:50:00.000Z";

export function sessions(protocol: "TCP" | "UDP", figures: Partial<SessionFacts> = {}): SessionFacts {
  return {
    protocol,
    active: 3,
    opened: 1200,
    refused: 2,
    receivedBytes: 48_000_000,
    sentBytes: 48_200_000,
    ...figures,
  };
}

export function facts(changed: Partial<PageFacts> = {}): PageFacts {
  const { uptimeMs = 3_723_000 } = changed;
  const beside = { self: false, state: "serving", uptimeMs } as const;
  return {
    version: 1,
    at: AT,
    uptimeMs,
    name: "server1-6d5f8b7c9-x2x4z",
    node: "node1",
    namespace: "echo-server",
    identity: [
      ["Name", "server1-6d5f8b7c9-x2x4z"],
      ["Node", "node1"],
      ["Version", "0.2.0"],
      ["Engine", "linux, event loops: 1"],
    ],
    state: "serving",
    stateText: "its own echo came back",
    addresses: { tcp: ["[::]:1234"], udp: [] },
    sessions: [sessions("TCP")],
    refusals: [
      {
        protocol: "TCP",
        what: "refused",
        reason: "max_sessions",
        count: 2,
        meaning: "The cap of sessions was reached.",
      },
      {
        protocol: "TCP",
        what: "refused",
        reason: "draining",
        count: 0,
        meaning: "The server was shutting down.",
      },
    ],
    loops: [{ loop: 0, serves: "TCP", heartbeatAgeMs: 12, hangs: false, lagMs: 0.1, sessions: 3 }],
    clients: [
      {
        at: "2026-11-25T22:49:58.000Z",
        client: "10.244.3.9:40112",
        protocol: "TCP",
        sessions: 4,
        bytes: 64_000,
        open: true,
        member: null,
      },
      {
        at: "2026-11-25T22:49:12.000Z",
        client: "10.244.2.7:51002",
        protocol: "TCP",
        sessions: 812,
        bytes: 51_968,
        open: true,
        member: "server2-5c9d7f6b8-hk8qp",
      },
    ],
    containers: [
      { name: "tcp", port: 8080, self: true, state: "serving", uptimeMs, sessions: [sessions("TCP")] },
      { ...beside, name: "udp", port: 8081, sessions: [sessions("UDP", { active: 7 })] },
      { ...beside, name: "mesh", port: 8082, sessions: [] },
    ],
    fleet: fleet(),
    commands: [
      { text: "nc server1.headless 1234", about: "Talk to this server over TCP." },
      {
        text: "echo-server check server1.headless",
        about: "Ask it by TCP and UDP, and be told what is wrong.",
      },
    ],
    mesh: false,
    ...changed,
  };
}

function fleet(): FleetFacts[] {
  return [1, 2, 3].map((number) => ({
    name: `server${number}.headless`,
    node: `node${number}`,
    addresses: [`10.244.${number}.7`],
    state: "serving" as const,
    self: number === 1,
  }));
}

/** Names as Deployments give them, the same each time. */
export function podName(number: number): string {
  return `server${number}-${(number * 7919 + 40_009).toString(36)}c9-${(number * 104_729 + 999_983).toString(36).slice(-5)}`;
}

export function member(number: number, changed: Partial<MeshMember> = {}): MeshMember {
  return {
    name: podName(number),
    node: `node${number}`,
    address: `10.244.${number}.7`,
    row: true,
    ...changed,
  };
}

/** Pair by pair, what is unlike a pair that is well; null leaves it out. */
export type Change = (pair: MeshPair) => Partial<MeshPair> | null;

/**
 * A mesh in which each asks the next ones on a ring, by both protocols.
 * @param tick makes other figures each time
 */
export function mesh(
  members: readonly MeshMember[],
  degree: number,
  change: Change = () => ({}),
  tick = 0,
): MeshResult {
  const pairs = members.flatMap((from, at) =>
    Array.from({ length: Math.min(degree, members.length - 1) }, (_, step) => {
      const to = members[(at + step + 1) % members.length]!;
      return (["tcp", "udp"] as const).map((protocol) =>
        wellPair(from, to, protocol, at * 31 + step * 17 + tick),
      );
    }).flat(),
  );
  return {
    version: 1,
    at: new Date(Date.parse(AT) + tick * 2000).toISOString(),
    self: members[0]!.name,
    intervalMs: 1000,
    unresolved: null,
    members,
    pairs: pairs.flatMap((pair) => {
      const changed = change(pair);
      return changed === null ? [] : [{ ...pair, ...changed }];
    }),
  };
}

function wellPair(from: MeshMember, to: MeshMember, protocol: "tcp" | "udp", seed: number): MeshPair {
  const p50 = 0.08 + ((seed * 37) % 100) / 400 + (protocol === "tcp" ? 0.03 : 0);
  const times = (factor: number) => ({ p50: round(p50 * factor), p99: round(p50 * factor * 3.1) });
  return {
    from: from.name,
    to: to.name,
    fromNode: from.node,
    toNode: to.node,
    protocol,
    up: true,
    rttMs: times(1),
    connectMs: protocol === "tcp" ? times(1.4) : null,
    hops: protocol === "udp" ? 2 : null,
    sent: protocol === "tcp" ? 120 : 60,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    since: "2026-11-25T20:14:07.000Z",
    why: null,
  };
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** What a pair is that has had no answer for a while. */
export function down({ protocol, from, to }: MeshPair): Partial<MeshPair> {
  return {
    up: false,
    rttMs: null,
    connectMs: null,
    hops: null,
    lost: protocol === "tcp" ? 120 : 60,
    since: "2026-11-25T22:48:31.000Z",
    why: `no answer in 1 s: ${protocol} ${addressOf(from)}:40112 > ${addressOf(to)}:${protocol === "tcp" ? 1234 : 5678}`,
  };
}

function addressOf(name: string): string {
  return `10.244.${/\d+/.exec(name)?.[0]}.7`;
}

/** What a pair is of which nothing is known. */
export function unknown(why: string): Partial<MeshPair> {
  return { up: null, rttMs: null, connectMs: null, hops: null, sent: 0, since: null, why };
}

/** Three members, one of which is gone from the network: its column is down, its row is unknown. */
export function nodeDown(tick = 0): MeshResult {
  const gone = podName(2);
  const members = [member(1), member(2, { row: false }), member(3)];
  const change: Change = (pair) =>
    pair.from === gone ? unknown("its row did not come in 1 s") : pair.to === gone ? down(pair) : {};
  return mesh(members, 10, change, tick);
}
