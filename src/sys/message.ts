import type { Pointer } from "bun:ffi";
import { type Address, MAPPED } from "../net/address.ts";
import { readTimespec } from "./clock.ts";
import {
  IP_PKTINFO,
  IP_RECVERR,
  IP_RECVFRAGSIZE,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  IPV6_RECVERR,
  IPV6_RECVFRAGSIZE,
  loadLibc,
  MSG_DONTWAIT,
  SO_TIMESTAMPNS,
  SOL_SOCKET,
} from "./libc.ts";
import { type NativeMemory, nativeMemory } from "./memory.ts";
import {
  CMSG,
  EXTENDED_ERROR,
  IN_PKTINFO,
  IN6_PKTINFO,
  IOVEC,
  MSGHDR,
  writeIovec,
  writeMsghdr,
} from "./msghdr.ts";
import { SOCKADDR_BYTES, Sockaddr, scopeAt } from "./sockaddr.ts";

/** An error that lay in a socket's error queue. */
interface ExtendedError {
  readonly errno: number;
  /** `ORIGIN_LOCAL`, or another. */
  readonly origin: number;
  /** What the next link takes, where the error is EMSGSIZE. */
  readonly info: number;
  /** Who sent the ICMP; null where it was nobody. */
  readonly offender: Address | null;
}

/** What the kernel said of a message. Null: it did not say. */
export interface Said {
  /** When it came, by the wall clock. */
  stamp: { readonly seconds: number; readonly nanos: number } | null;
  /** TTL or hop limit on arrival. */
  ttl: number | null;
  /** The address of this machine that it came to. */
  to: Address | null;
  /** The largest IP fragment that it came in; null where it came whole, too. */
  fragmentBytes: number | null;
  error: ExtendedError | null;
}

/** Where the parts lie in the memory, in bytes. */
const IOVEC_AT = MSGHDR.bytes;
const NAME_AT = IOVEC_AT + IOVEC.bytes;
const CONTROL_AT = NAME_AT + 32;
const CONTROL_BYTES = 512;

/** The memory that one recvmsg(2) after another fills: a message, who it is from, and what the kernel says of it. */
export class MessageMemory {
  readonly #header: NativeMemory = nativeMemory(CONTROL_AT + CONTROL_BYTES);
  readonly #payload: NativeMemory;
  #length = 0;

  /** @param payloadBytes the most bytes of one message */
  constructor(payloadBytes: number) {
    this.#payload = nativeMemory(payloadBytes);
    const { address, view } = this.#header;
    writeIovec(view, IOVEC_AT, this.#payload.address, payloadBytes);
    writeMsghdr(view, 0, {
      name: address + NAME_AT,
      nameLength: SOCKADDR_BYTES,
      iovecs: address + IOVEC_AT,
      iovecCount: 1,
      control: address + CONTROL_AT,
      controlLength: CONTROL_BYTES,
    });
  }

  /** recvmsg(2), without waiting. Its result: bytes, or -1. @param flags besides MSG_DONTWAIT */
  receive(fd: number, flags = 0): number {
    const { address, view } = this.#header;
    view.setUint32(MSGHDR.nameLength, SOCKADDR_BYTES, true); // the kernel left there what it used before
    view.setUint32(MSGHDR.controlLength, CONTROL_BYTES, true);
    this.#length = loadLibc().recvmsg(fd, address as Pointer, flags | MSG_DONTWAIT);
    return this.#length;
  }

  /** A copy of the message's bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#payload.bytes.slice(0, Math.max(0, this.#length));
  }

  /** Who it is from; of an error, where what failed was going. Null where the kernel names nobody. */
  peer(): Sockaddr | null {
    const { view } = this.#header;
    const isNamed = view.getUint32(MSGHDR.nameLength, true) > 0 && view.getUint16(NAME_AT, true) !== 0;
    return isNamed ? new Sockaddr().read(view, NAME_AT) : null;
  }

  /** The interface that the peer's link-local address is on; 0 for none. */
  peerScope(): number {
    return scopeAt(this.#header.view, NAME_AT);
  }

  /** What the kernel said of it, from its control messages (cmsg(3)). */
  said(): Said {
    const said: Said = { stamp: null, ttl: null, to: null, fragmentBytes: null, error: null };
    const { view } = this.#header;
    const end = CONTROL_AT + view.getUint32(MSGHDR.controlLength, true);
    for (let at = CONTROL_AT; at + CMSG.data <= end; ) {
      const length = view.getUint32(at + CMSG.length, true);
      if (length < CMSG.data) break;
      read(said, view, at);
      at += Math.ceil(length / 8) * 8;
    }
    return said;
  }
}

/** Reads the control message at `at`. */
function read(said: Said, view: DataView, at: number): void {
  const type = view.getInt32(at + CMSG.type, true);
  const data = at + CMSG.data;
  switch (view.getInt32(at + CMSG.level, true)) {
    case SOL_SOCKET:
      if (type === SO_TIMESTAMPNS) said.stamp = readTimespec(view, data);
      break;
    case IPPROTO_IP:
      if (type === IP_TTL) said.ttl = view.getInt32(data, true);
      else if (type === IP_PKTINFO) said.to = ipv4At(view, data + IN_PKTINFO.destination);
      else if (type === IP_RECVFRAGSIZE) said.fragmentBytes = view.getInt32(data, true);
      else if (type === IP_RECVERR) said.error = errorAt(view, data);
      break;
    case IPPROTO_IPV6:
      if (type === IPV6_HOPLIMIT) said.ttl = view.getInt32(data, true);
      else if (type === IPV6_PKTINFO) said.to = ipv6At(view, data + IN6_PKTINFO.address);
      else if (type === IPV6_RECVFRAGSIZE) said.fragmentBytes = view.getInt32(data, true);
      else if (type === IPV6_RECVERR) said.error = errorAt(view, data);
  }
}

function errorAt(view: DataView, at: number): ExtendedError {
  const offenderAt = at + EXTENDED_ERROR.offender;
  const isNamed = view.getUint16(offenderAt, true) !== 0; // AF_UNSPEC
  const { a0, a1, a2, a3 } = new Sockaddr().read(view, offenderAt);
  return {
    errno: view.getUint32(at + EXTENDED_ERROR.errno, true),
    origin: view.getUint8(at + EXTENDED_ERROR.origin),
    info: view.getUint32(at + EXTENDED_ERROR.info, true),
    offender: isNamed ? { a0, a1, a2, a3 } : null,
  };
}

function ipv4At(view: DataView, at: number): Address {
  return { a0: 0, a1: 0, a2: MAPPED, a3: view.getInt32(at) };
}

function ipv6At(view: DataView, at: number): Address {
  const [a0, a1, a2, a3] = [0, 4, 8, 12].map((offset) => view.getInt32(at + offset));
  return { a0: a0!, a1: a1!, a2: a2!, a3: a3! };
}
