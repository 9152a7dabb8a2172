/**
 * Layouts of what recvmmsg(2) and sendmsg(2) take, on 64-bit Linux: each offset has its name here and nowhere else. The
 * self-test at start (`engine/linux/selftest.ts`) sends and receives through them, so a wrong one shows at once.
 */

/** `struct iovec`. */
export const IOVEC = { base: 0, length: 8, bytes: 16 } as const;

/** `struct msghdr`. */
export const MSGHDR = {
  name: 0,
  nameLength: 8,
  iovecs: 16,
  iovecCount: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  bytes: 56,
} as const;

/** `struct mmsghdr`: a `struct msghdr`, then how many bytes came or went, padded. */
export const MMSGHDR = { received: MSGHDR.bytes, bytes: 64 } as const;

/** `struct cmsghdr` and its data. */
export const CMSG = { length: 0, level: 8, type: 12, data: 16 } as const;

/** `struct in_pktinfo`: the interface, which of our addresses that is (and where to answer from), where it was sent to. */
export const IN_PKTINFO = { interface: 0, local: 4, destination: 8, bytes: 12 } as const;

/** `struct in6_pktinfo`: the address (four words), then the interface. */
export const IN6_PKTINFO = { address: 0, interface: 16, bytes: 20 } as const;

/** `struct timespec`: seconds and nanoseconds, 64 bits each. */
export const TIMESPEC = { seconds: 0, nanos: 8, bytes: 16 } as const;

/**
 * `struct sock_extended_err` (ip(7), linux/errqueue.h): the error's number, who made it, ICMP's type and
 * code, what it says besides (an MTU); then the sockaddr of the one who sent the ICMP.
 */
export const EXTENDED_ERROR = { errno: 0, origin: 4, type: 5, code: 6, info: 8, offender: 16 } as const;

/** CMSG_LEN(3): what the length field of a control message with so much data says. */
function cmsgLength(dataBytes: number): number {
  return CMSG.data + dataBytes;
}

/** CMSG_SPACE(3): the room that such a control message takes. */
export function cmsgSpace(dataBytes: number): number {
  return CMSG.data + Math.ceil(dataBytes / 8) * 8;
}

/** The parts of a message, as `struct msghdr` holds them: addresses in memory, lengths in bytes. */
interface MessageParts {
  readonly name: number;
  readonly nameLength: number;
  readonly iovecs: number;
  readonly iovecCount: number;
  /** 0 for none. */
  readonly control: number;
  readonly controlLength: number;
}

/** Writes a `struct msghdr` at `at`. */
export function writeMsghdr(view: DataView, at: number, parts: MessageParts): void {
  view.setBigUint64(at + MSGHDR.name, BigInt(parts.name), true);
  view.setUint32(at + MSGHDR.nameLength, parts.nameLength, true);
  view.setBigUint64(at + MSGHDR.iovecs, BigInt(parts.iovecs), true);
  view.setBigUint64(at + MSGHDR.iovecCount, BigInt(parts.iovecCount), true);
  view.setBigUint64(at + MSGHDR.control, BigInt(parts.control), true);
  view.setBigUint64(at + MSGHDR.controlLength, BigInt(parts.controlLength), true);
}

/** Writes a `struct iovec` at `at`. */
export function writeIovec(view: DataView, at: number, base: number, length: number): void {
  view.setBigUint64(at + IOVEC.base, BigInt(base), true);
  view.setBigUint64(at + IOVEC.length, BigInt(length), true);
}

/** Writes the head of a control message with `dataBytes` of data at `at`; returns where its data goes. */
export function writeCmsg(
  view: DataView,
  at: number,
  level: number,
  type: number,
  dataBytes: number,
): number {
  view.setBigUint64(at + CMSG.length, BigInt(cmsgLength(dataBytes)), true);
  view.setInt32(at + CMSG.level, level, true);
  view.setInt32(at + CMSG.type, type, true);
  return at + CMSG.data;
}
