import type { Quantiles } from "../client/round-trips.ts";

/** What `check --json` prints, field by field. Null is "not measured", never "none" and never "well". */

export type Protocol = "tcp" | "udp";
export type Direction = "there" | "back" | "both";
/** Whom a problem points at. */
export type Where = "path" | "far_end" | "this_machine";
/** Sizes from the first to the second, both included. */
export type Hole = readonly [from: number, to: number];

export type ProblemCode =
  | "no_such_name"
  | "refused"
  | "unreachable"
  | "timeout"
  | "silent"
  | "reset"
  | "closed"
  | "other_address"
  | "lost"
  | "duplicated"
  | "corrupted"
  | "foreign"
  | "syn_lost"
  | "half_close_cut"
  | "half_close_no_end"
  | "mtu_black_hole"
  | "fragments_lost"
  | "size_hole"
  | "no_ports_here"
  | "no_descriptors_here";

export type NoteCode =
  | "reordered"
  | "source_translated"
  | "destination_translated"
  | "uneven"
  | "mtu_reduced"
  /** Something that could not be found out here, and why. */
  | "not_measured";

/** What a problem or a note carries beside its words: those of its verdict's row, and no other. */
export interface VerdictFields {
  /** Who sent the refusal; null where the system does not tell. */
  readonly by?: string | null;
  /** Where an answer came from that came from elsewhere than asked. */
  readonly from?: string;
  readonly direction?: Direction | null;
  /** IP packet bytes; null where a narrow place shows and its width does not. */
  readonly mtu?: number | null;
  /** UDP payload bytes. */
  readonly holes?: readonly Hole[];
  /** The end that the server saw. */
  readonly seen?: string;
  readonly count?: number;
  /** Echoed payload bytes by then. */
  readonly bytes?: number;
}

/** Something that is wrong: the exit code is 1. */
export interface Problem extends VerdictFields {
  readonly code: ProblemCode;
  /** The flow that saw it: `udp 10.244.3.9:40112 > 10.96.0.7:5678`; null where there was none. */
  readonly flow: string | null;
  /** What was seen, with its figures. */
  readonly says: string;
  /** The likely cause. */
  readonly likely: string;
  readonly where: Where;
  /** One command that looks further; null where there is none. */
  readonly next: string | null;
}

/** Something worth knowing that is not wrong. */
export interface Note extends VerdictFields {
  readonly code: NoteCode;
  readonly says: string;
}

/** One server that answered, as its banner says; `server` is null of those that sent none. */
export interface ServerSeen {
  readonly server: string | null;
  readonly pod: string | null;
  readonly node: string | null;
  /** Flows that it answered. */
  readonly flows: number;
}

/** Path MTUs are of IP packets, `largest...` and `holes...` of UDP payloads, all in bytes. */
export interface MtuResult {
  readonly there: number | null;
  readonly back: number | null;
  readonly largestThere: number | null;
  readonly largestBack: number | null;
  readonly holesThere: readonly Hole[] | null;
  readonly holesBack: readonly Hole[] | null;
  readonly fragmentsThere: boolean | null;
  readonly fragmentsBack: boolean | null;
}

/** What was found of one address by one protocol. */
export interface CheckResult {
  /** As it was asked for. */
  readonly target: string;
  readonly protocol: Protocol;
  /** The host of the target: a name, or an address. */
  readonly name: string;
  /** Null where the name has none. */
  readonly address: string | null;
  readonly port: number;
  readonly ok: boolean;
  /** Null where the target is an address. */
  readonly resolveMs: number | null;
  /** Flows begun, and those that got one right echo at least. */
  readonly flows: number;
  readonly flowsAnswered: number;
  /** Who answered, the busiest first; null where no answer had a banner. */
  readonly servers: readonly ServerSeen[] | null;
  readonly source: {
    readonly own: string | null;
    /** Addresses that banners named, each once; null without banners. */
    readonly seen: readonly string[] | null;
    readonly addressTranslated: boolean | null;
    readonly portTranslated: boolean | null;
  };
  readonly destination: { readonly asked: string; readonly translated: boolean | null };
  readonly connectMs: Quantiles | null;
  readonly firstByteMs: Quantiles | null;
  readonly rttMs: Quantiles | null;
  /** Messages. A corrupted or foreign one is counted there, and not as lost as well. */
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  readonly foreign: number;
  /** TCP: SYNs sent again, over all flows. */
  readonly synRetransmits: number | null;
  readonly halfClose: "whole" | "cut" | "no_end" | null;
  /** TCP: bytes of the bulk that came back. */
  readonly bulkBytes: number | null;
  readonly tcp: { readonly mss: number; readonly retransmits: number; readonly kernelRttMs: number } | null;
  readonly hops: { readonly there: null; readonly back: number } | null;
  readonly mtu: MtuResult | null;
  readonly problems: readonly Problem[];
  readonly notes: readonly Note[];
}

/** What became of messages. */
export type MessageCounts = Pick<
  CheckResult,
  "sent" | "received" | "lost" | "duplicated" | "reordered" | "corrupted" | "foreign"
>;

export interface CheckReport {
  readonly tool: "check";
  readonly version: 1;
  readonly ok: boolean;
  /** RFC 3339, UTC, with milliseconds. */
  readonly startedAt: string;
  /** From then to the end, with the attempts before the last. */
  readonly seconds: number;
  /** How often all was asked; the results are the last one's. More than 1 only with `--wait`. */
  readonly attempts: number;
  readonly results: readonly CheckResult[];
}
