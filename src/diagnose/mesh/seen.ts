import type { Family } from "../targets.ts";

/** What probers tell of their peers: plain data, which goes by message from the thread that asks. */

/** The ways in which a peer is asked, each once an interval. */
export const PROBES = ["tcp-new", "tcp-held", "udp"] as const;
export type ProbeName = (typeof PROBES)[number];

/** Whom to ask, and how. */
export interface MeshQuestion {
  /** The headless name over all members; it is resolved each interval. */
  readonly name: string;
  /** Names that must have an address each, or are unknown; where none of them has one, this fleet has no such members. */
  readonly members: readonly string[];
  /** This member's own address; null: whichever of the name's addresses this machine has. */
  readonly address: string | null;
  /** The only IP version to ask for; null: that of the own address, or else what the name has, IPv4 first. */
  readonly family: Family | null;
  /** Echo ports of every member; null for a protocol that is not asked. */
  readonly tcpPort: number | null;
  readonly udpPort: number | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Peers that a member asks at most. */
  readonly degree: number;
  /** Members beyond so many are left out, and counted. */
  readonly membersMax: number;
  /** Whether an answer counts only with a banner whose server is the peer that was meant. */
  readonly banner: boolean;
}

/** Who there is, as the names say. */
export interface Roster {
  /** Addresses of all members, this one's included, in the order of the ring: by number. */
  readonly addresses: readonly string[];
  /** This member's own; null while it is not known. */
  readonly own: string | null;
  /** Of `members`, those by name: the address that each has; null for one that has none. */
  readonly named: readonly { readonly name: string; readonly address: string | null }[];
  /** Members left out, being more than `membersMax`. */
  readonly beyond: number;
  /**
   * Why the name gave no address the last time, in words; null where it gave some. What it had before still counts where
   * there was no answer, and is gone where the answer was, twice in a row, that there are none.
   */
  readonly unresolved: string | null;
}

/** Why a probe has no answer that counts. Codes of the verdicts, and: who answered was not the peer; said not who it is. */
export type ProbeFault =
  | "timeout"
  | "refused"
  | "unreachable"
  | "silent"
  | "reset"
  | "closed"
  | "corrupted"
  | "other_server"
  | "no_banner"
  | "no_ports_here"
  | "no_descriptors_here";

/** What became of one probe. */
export interface ProbeSeen {
  /** The peer's address, as in the roster. */
  readonly peer: string;
  readonly probe: ProbeName;
  /** When it was decided, ms since 1970. */
  readonly atMs: number;
  /** When it was sent, by the clock of the thread that asks: to be compared with others of its kind and peer, and nothing else. */
  readonly sentMs: number;
  /** Null: the echo came whole, in time, and from the peer that was meant. */
  readonly fault: ProbeFault | null;
  /**
   * The banner's `Server:`, as `ip:port`, of the session that was asked; null where there was none. Of a datagram that came
   * back from another end than was asked: that end.
   */
  readonly server: string | null;
  /** From sending to echo; null without an echo that counts. */
  readonly rttMs: number | null;
  /** Of `tcp-new`: from the first SYN to the connection. */
  readonly connectMs: number | null;
  /** Of `udp`: routers between, from the TTL of the answer (64, 128 or 255 less what came); null where it is not known. */
  readonly hops: number | null;
  /** To be added to the counters: messages sent (this one, or none that left), lost, and what else came meanwhile. */
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  /** Both ends and the protocol, as `udp 10.0.0.1:4000 > 10.0.0.2:5678`; null where nothing left. */
  readonly flow: string | null;
}

/** What the asking thread tells: the roster at its beginning and whenever it changes, and each probe. */
export type MeshEvent = { readonly roster: Roster } | { readonly probe: ProbeSeen };
