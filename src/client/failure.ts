import type { Address } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";

/** Every way in which a session or a flow can fail, as its client sees it. */
export type FailureCode =
  /** Nobody listens there: a reset to the SYN, or ICMP port unreachable. */
  | "refused"
  /** No way there: ICMP host, net or prohibited, or no route from here. */
  | "unreachable"
  /** The one or the other: the socket did not tell which (Bun's own TCP connect). */
  | "refused_or_unreachable"
  /** Nothing came at all: no connection, or no datagram, by the deadline. */
  | "timeout"
  /** Connected, and then what was due did not come by the deadline. */
  | "silent"
  /** The session ended early, by a reset. */
  | "reset"
  /** The session ended early, by a FIN. */
  | "closed"
  /** Other bytes came than were sent. */
  | "corrupted"
  /** More bytes than a datagram or the way there can carry. */
  | "too_big"
  /** No port is left here for another socket to that end. */
  | "no_ports_here"
  /** The port that was asked for here is someone else's. */
  | "port_in_use_here"
  /** This process, or this machine, is out of file descriptors. */
  | "no_descriptors_here"
  /** The kernel has no room for the bytes now: they were not sent. */
  | "no_buffers_here"
  /**
   * The source address that was asked for is not one of this machine, or of another family than the target. Where none
   * was asked for: this machine has no address of the target's family.
   */
  | "no_such_address"
  /** This machine does not allow it: a privileged port, a local firewall. */
  | "not_permitted_here"
  /** Ended here, by its owner. */
  | "ended"
  /** Given up by the owner's signal. */
  | "aborted"
  /** What none of the others is; `detail` tells. */
  | "fault";

/** What ICMP told of a packet that did not arrive. */
export interface Icmp {
  /** Who sent the news: a router on the path, or the far end. */
  readonly by: Address;
  /** Where the packet was going; null where the system does not say. */
  readonly to: Endpoint | null;
  /** What the next link takes, as whole IP packets; null in all news but "fragmentation needed" and "packet too big". */
  readonly mtu: number | null;
}

/** A failure as a value: nothing that a network does is thrown. */
export class Failure {
  /**
   * @param bytes of payload that had come back by then: of a session all, without its banner
   * @param detail the system's own word where there is one (`EHOSTUNREACH`), else empty
   * @param received where the code is `corrupted`: what came, from the first byte of the message on
   * @param icmp where ICMP told it, and the system says who did
   */
  constructor(
    readonly code: FailureCode,
    readonly bytes = 0,
    readonly detail = "",
    readonly received: Uint8Array | null = null,
    readonly icmp: Icmp | null = null,
  ) {}

  /** `reset after 40 bytes (ECONNRESET)` */
  toString(): string {
    const bytes = this.bytes > 0 ? ` after ${this.bytes} bytes` : "";
    return `${this.code}${bytes}${this.detail === "" ? "" : ` (${this.detail})`}`;
  }
}

/** Codes of system errors that mean the same wherever they come from. */
const BY_ERROR: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
  ENOTFOUND: "unreachable", // this machine has no such interface as the zone names
  EAFNOSUPPORT: "unreachable", // this machine has no IPv6, or no IPv4
  ETIMEDOUT: "timeout",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EMSGSIZE: "too_big",
  EMFILE: "no_descriptors_here",
  ENFILE: "no_descriptors_here",
  ENOBUFS: "no_buffers_here",
  ENOMEM: "no_buffers_here",
  EPERM: "not_permitted_here",
};

/** What the system's error means for something that is on its way or established. */
export function meaningOf(error: string): FailureCode {
  return BY_ERROR[error] ?? "fault";
}

/**
 * What it means when a connect or the first send fails. Linux has error numbers of its own for what a route forbids:
 * EACCES for `prohibit`, EINVAL for `blackhole` (and for a link-local address without a zone).
 */
export function meaningOnConnect(error: string): FailureCode {
  if (error === "EADDRNOTAVAIL") return "no_ports_here";
  return error === "EACCES" || error === "EINVAL" ? "unreachable" : meaningOf(error);
}

/** What it means when a socket cannot be bound. @param port what was asked for; 0 is any */
export function meaningOnBind(error: string, port: number): FailureCode {
  if (error === "EADDRNOTAVAIL" || error === "EAFNOSUPPORT" || error === "EINVAL") return "no_such_address";
  if (error === "EADDRINUSE") return port === 0 ? "no_ports_here" : "port_in_use_here";
  return error === "EACCES" ? "not_permitted_here" : meaningOf(error);
}

/** The system's word in an error that Bun gives: `ECONNREFUSED`; its message where it has none. */
export function errorWord(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
