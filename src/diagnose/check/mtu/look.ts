import type { Address } from "../../../net/address.ts";

/** Largest UDP payload that is tried: all that IPv4 can carry, 65,535 less 28 of headers (RFC 791, RFC 768). */
export const SIZE_MAX = 65_507;

/** Smallest: what fills a path of 68 bytes, the least that IPv4 allows (RFC 791, 3.2). */
export const SIZE_MIN = 40;

/** UDP header bytes (RFC 768); with those of IP (RFC 791, RFC 8200). */
export const UDP_HEADER = 8;
export const IPV4_HEADERS = 20 + UDP_HEADER;
export const IPV6_HEADERS = 40 + UDP_HEADER;

/** ICMP says of a datagram that it was too big. */
export interface Told {
  /** What the next link takes, bytes of an IP packet. */
  readonly mtu: number;
  readonly by: Address;
}

/** What became of datagrams of one size, after as many tries as it takes to call one lost. */
export interface Look {
  /**
   * The way there. `told`: too big, says ICMP. `here`: longer than the interface takes. `unknown`: nothing came back,
   * and no banner could tell which way lost it.
   */
  readonly there: "passed" | "lost" | "told" | "here" | "unknown";
  /** The way back, of what arrived. `cut`: in fragments. `shortened`: the far end echoes only the beginning. */
  readonly back: "whole" | "cut" | "shortened" | "lost" | "unknown";
  /** IP packet bytes of the largest fragment of a `cut` echo, else 0. */
  readonly fragmentBytes: number;
  readonly told: Told | null;
  /** Tries that no echo came of; of a size that passes those before the one that was answered. */
  readonly failed: number;
  /** The flow of its latest try; null where nothing was sent. */
  readonly flow: string | null;
}

/** How a size is asked. */
export interface Asking {
  /** Whether nobody may cut it; if not, routers and this machine may. */
  readonly dontFragment: boolean;
  /** Tries without an answer until it counts as lost. */
  readonly tries: number;
}

/** Asks the path about one payload size. */
export type Probe = (size: number, asking: Asking) => Promise<Look>;

/** What is known of one size. */
export interface Sized {
  readonly size: number;
  /** With don't-fragment. */
  readonly whole: Look;
  /** Without; null where that was not asked: it passed with, or could not fare otherwise. */
  readonly cuttable: Look | null;
  /** How often it was looked at. */
  readonly looks: number;
}

/** The look at the datagram that arrived, where one did. */
export function arrivedOf({ whole, cuttable }: Sized): Look | null {
  if (whole.there === "passed") return whole;
  return cuttable?.there === "passed" ? cuttable : null;
}
