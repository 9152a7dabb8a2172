/** What `/mesh.json` says, to scripts and to the page. Fields may be added, none is renamed. */

/** A member, known by its own prober or by name alone. */
export interface MeshMember {
  /** The Pod's name; where its prober has not told it: the member's name in DNS, else its address. */
  readonly name: string;
  readonly node: string | null;
  readonly address: string | null;
  /** Whether its own row is known: of `scope=all`, and of the one who answers. Null where nobody asked it. */
  readonly row: boolean | null;
}

/** Quantiles over the last minute, ms. */
export interface MeshTimes {
  readonly p50: number;
  readonly p99: number;
}

/** One member asking another by one protocol. A pair that nobody was assigned to is absent. */
export interface MeshPair {
  readonly from: string;
  readonly to: string;
  readonly fromNode: string | null;
  readonly toNode: string | null;
  readonly protocol: "tcp" | "udp";
  /** Null: unknown, not measured yet or its row did not come. False: two probes in a row had no answer. */
  readonly up: boolean | null;
  /** Null without an answer in the last minute. */
  readonly rttMs: MeshTimes | null;
  readonly connectMs: MeshTimes | null;
  readonly hops: number | null;
  /** Of the last minute. */
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  /** Since when it is up, down or unknown (ISO 8601); null where that is not known. */
  readonly since: string | null;
  /** Why it is not up, in words, with the flow that saw it; null where it is up. */
  readonly why: string | null;
}

export interface MeshResult {
  readonly version: 1;
  /** When it was put together (ISO 8601). */
  readonly at: string;
  /** The member that answers. */
  readonly self: string;
  readonly intervalMs: number;
  /**
   * Why that member's `--name` gave it no address the last time, in words: who is a member may be others by now. Null
   * where it gave some.
   */
  readonly unresolved: string | null;
  readonly members: readonly MeshMember[];
  readonly pairs: readonly MeshPair[];
}
