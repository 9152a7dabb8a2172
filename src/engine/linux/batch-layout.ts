import { CMSG, cmsgSpace, IN_PKTINFO, IN6_PKTINFO, IOVEC, MMSGHDR, MSGHDR } from "../../sys/msghdr.ts";

/** Where the parts of a batch of datagrams lie in its memory, in bytes and in 32-bit words. */

/** Datagrams received by one recvmmsg(2). */
export const BATCH = 64;
/** Room for the largest datagram: 65,507 bytes over IPv4, 65,527 over IPv6. Only what is used takes memory. */
export const SLOT_BYTES = 65536;
/** Room for a `sockaddr_in6` of 28 bytes. */
export const NAME_BYTES = 32;
/** Room for the control messages of one datagram. */
export const CONTROL_BYTES = 64;
/** The kernel says which local address a datagram went to; UDP_SEGMENT is given a uint16. */
export const IPV4_CONTROL_BYTES = cmsgSpace(IN_PKTINFO.bytes);
export const IPV6_CONTROL_BYTES = cmsgSpace(IN6_PKTINFO.bytes);
export const SEGMENT_CONTROL_BYTES = cmsgSpace(Uint16Array.BYTES_PER_ELEMENT);
/** Shorter runs are not worth a system call of their own. */
export const RUN_MIN = 4;
/** An Ethernet frame's worth; longer datagrams are rarely cut without fragments. */
export const SEGMENT_MAX = 1472;
export const SEGMENTED_BYTES_MAX = 65000;
/** The parts, one behind the other: headers to receive by, headers to answer by, iovecs of both, names, control messages. */
export const RECEIVED_AT = 0;
export const ANSWERS_AT = RECEIVED_AT + BATCH * MMSGHDR.bytes;
export const IOVECS_AT = ANSWERS_AT + BATCH * MMSGHDR.bytes;
export const ANSWER_IOVECS_AT = IOVECS_AT + BATCH * IOVEC.bytes;
export const NAMES_AT = ANSWER_IOVECS_AT + BATCH * IOVEC.bytes;
export const CONTROLS_AT = NAMES_AT + BATCH * NAME_BYTES;
export const BATCH_BYTES = CONTROLS_AT + BATCH * CONTROL_BYTES;
/** The same in words, as the loop over a batch counts: how far one datagram is from the next, and its first. */
export const HEADER_WORDS = MMSGHDR.bytes / 4;
export const RECEIVED_WORD = MMSGHDR.received / 4;
export const CONTROL_LENGTH_WORD = MSGHDR.controlLength / 4;
export const IOVEC_WORDS = IOVEC.bytes / 4;
export const ANSWER_LENGTH_WORD = (ANSWER_IOVECS_AT + IOVEC.length) / 4;
export const NAME_WORDS = NAME_BYTES / 4;
export const NAME_WORD = NAMES_AT / 4;
/** In an IPv6 peer's name, the number of the interface that its link-local address is on (ipv6(7), `sin6_scope_id`). */
export const NAME_SCOPE = 6;
export const CONTROL_WORDS = CONTROL_BYTES / 4;
export const CONTROL_WORD = CONTROLS_AT / 4;
export const CONTROL_DATA_WORD = CONTROL_WORD + CMSG.data / 4;
export const IN_LOCAL = IN_PKTINFO.local / 4;
export const IN_DESTINATION = IN_PKTINFO.destination / 4;
export const IN6_INTERFACE = IN6_PKTINFO.interface / 4;

/** The 16-bit number whose bytes are in network order. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** The 32-bit number whose bytes are in network order. */
export function swap32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}
