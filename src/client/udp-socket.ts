import type { Endpoint } from "../net/endpoint.ts";
import type { Source } from "./dial.ts";
import type { Failure } from "./failure.ts";
import type { Datagram } from "./udp-inbox.ts";

/** A UDP socket, as much of it as a flow needs. */
export interface UdpSocket {
  /** This end; its address is the wildcard where the socket is not connected and no address was asked for. */
  readonly local: Endpoint;
  /**
   * Sends one datagram. Null once the kernel has it; else why it did not leave, and whatever the news was of.
   * @param to someone else than the target; only of a socket that is not connected
   */
  send(datagram: Uint8Array, to: Endpoint): Failure | null;
  close(): void;
  /**
   * Datagrams that came and that the kernel threw away: the socket's buffer was full (or, to some kernels, their checksum
   * was wrong). Null, or no such method, where it does not say.
   */
  dropped?(): number | null;
}

/** What comes on a UDP socket. Nothing is told after `close`. */
export interface UdpSocketEvents {
  datagram(datagram: Datagram): void;
  /** An error of the socket: most are ICMP's answer to a datagram sent before. */
  error(failure: Failure): void;
}

export interface UdpSocketOptions {
  readonly source: Source;
  readonly connected: boolean;
  /**
   * Whether datagrams leave with don't-fragment set, at any size the link takes, whatever path MTU the kernel knows
   * (ip(7), IP_PMTUDISC_PROBE). Where a socket cannot do that, opening it fails with `fault`.
   */
  readonly dontFragment: boolean;
  /**
   * Whether IPv4 routers may cut a datagram of any size: it leaves without don't-fragment (ip(7), IP_PMTUDISC_DONT), which
   * Linux else sets on all that fits the path as it knows it. Ignored where a socket cannot do that. Default: false.
   */
  readonly cuttable?: boolean;
}

/**
 * Opens a UDP socket; nothing is sent. The seam between a flow and how this machine makes sockets: by system calls
 * (who sent an ICMP, TTL, fragments, the kernel's time of arrival), or by Bun alone, which tells none of these.
 */
export type OpenUdpSocket = (
  target: Endpoint,
  options: UdpSocketOptions,
  events: UdpSocketEvents,
) => Promise<UdpSocket | Failure>;
