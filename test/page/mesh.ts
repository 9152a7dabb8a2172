import type { MeshMember, MeshPair, MeshResult } from "../../src/diagnose/mesh/result.ts";

/** A mesh of so many members, each asking the ten that follow it. */
export function meshOf(size: number, changed: (at: number) => Partial<MeshMember> = () => ({})): MeshResult {
  const members = Array.from({ length: size }, (_, at) => ({
    ...{ name: `m${at}`, node: null, address: `10.0.${at >> 8}.${at & 255}`, row: true },
    ...changed(at),
  }));
  const pairs = members.flatMap(({ name: from }, at) =>
    Array.from({ length: 10 }, (_, next): MeshPair => {
      const to = members[(at + next + 1) % size]!.name;
      return {
        ...{ from, to, fromNode: null, toNode: null, protocol: "udp", up: true, rttMs: { p50: 1, p99: 2 } },
        ...{ connectMs: null, hops: null, sent: 60, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 },
        ...{ since: null, why: null },
      };
    }),
  );
  return {
    version: 1,
    at: "2026-11-26T08:00:00.000Z",
    self: "m0",
    intervalMs: 1000,
    unresolved: null,
    members,
    pairs,
  };
}
