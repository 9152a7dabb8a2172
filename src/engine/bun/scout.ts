import type { Pointer } from "bun:ffi";
import { type Address, formatAddress, MAPPED } from "../../net/address.ts";
import { IPPROTO_IP, loadLibc, MSG_DONTWAIT } from "../../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../../sys/memory.ts";
import { CMSG, IN_PKTINFO, IOVEC, MMSGHDR, MSGHDR, writeIovec, writeMsghdr } from "../../sys/msghdr.ts";
import { Sockaddr } from "../../sys/sockaddr.ts";
import type { BoundSocket } from "../bind.ts";

/** Datagrams taken at one look: what waits beyond that waits for the next one. */
const DATAGRAMS_PER_LOOK = 256;

const PAYLOAD_BYTES = 65536;

/** Offsets in the scout's memory, after the payload: a sockaddr, a control message, an iovec and a `struct mmsghdr`. */
const NAME = PAYLOAD_BYTES;
const NAME_BYTES = 32;
const CMSG_AT = NAME + NAME_BYTES;
const CMSG_BYTES = 64;
const VECTOR = CMSG_AT + CMSG_BYTES;
const HEADER = VECTOR + IOVEC.bytes;
const PKTINFO = CMSG_AT + CMSG.data;

/** A stray: a datagram for an address of this host that no socket is bound to. */
export interface Stray {
  /** The address it was sent to. */
  readonly local: string;
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly address: string;
}

/**
 * Reads wildcard sockets to find strays. The loop's own sockets are each bound to one address, and the kernel prefers
 * them; so a wildcard socket gets only datagrams for an address that no interface lists (all of 127.0.0.0/8 is this
 * host), or not yet. The scout sees which address that is (IP_PKTINFO), and Bun cannot; the loop then binds a socket to it.
 * The sockets are the control plane's. Linux only.
 */
export class Scout {
  readonly #sockets: readonly BoundSocket[];
  readonly #memory: NativeMemory = nativeMemory(HEADER + MMSGHDR.bytes);
  readonly #peer = new Sockaddr();

  /** @param sockets bound to wildcards, with IP_PKTINFO */
  constructor(sockets: readonly BoundSocket[]) {
    this.#sockets = sockets;
    const { address, view } = this.#memory;
    writeIovec(view, VECTOR, address, PAYLOAD_BYTES);
    writeMsghdr(view, HEADER, {
      name: address + NAME,
      nameLength: NAME_BYTES,
      iovecs: address + VECTOR,
      iovecCount: 1,
      control: address + CMSG_AT,
      controlLength: CMSG_BYTES,
    });
  }

  /** The strays that came since the last look. */
  *look(): Generator<Stray> {
    for (const socket of this.#sockets) {
      for (let count = 0; count < DATAGRAMS_PER_LOOK && this.#receive(socket); count++) {
        const stray = this.#read();
        if (stray !== null) yield stray;
      }
    }
  }

  #receive({ fd }: BoundSocket): boolean {
    const { address, view } = this.#memory;
    view.setUint32(HEADER + MSGHDR.nameLength, NAME_BYTES, true);
    view.setBigUint64(HEADER + MSGHDR.controlLength, BigInt(CMSG_BYTES), true);
    return loadLibc().recvmmsg(fd, (address + HEADER) as Pointer, 1, MSG_DONTWAIT, 0) === 1;
  }

  /** Null for what was not sent to this host alone, or to a link-local address, which needs its interface. */
  #read(): Stray | null {
    const { view, bytes } = this.#memory;
    const peer = this.#peer.read(view, NAME);
    const local = this.#local();
    if (local === null) return null;
    return {
      local: formatAddress(local),
      bytes: bytes.slice(0, view.getUint32(HEADER + MMSGHDR.received, true)),
      port: peer.port,
      address: formatAddress(peer),
    };
  }

  #local(): Address | null {
    const { view } = this.#memory;
    const word = (at: number): number => view.getInt32(PKTINFO + at);
    const isV4 = view.getInt32(CMSG_AT + CMSG.level, true) === IPPROTO_IP;
    if (isV4) {
      const local = word(IN_PKTINFO.local); // where it was sent to differs for broadcast and multicast
      return local === word(IN_PKTINFO.destination) ? { a0: 0, a1: 0, a2: MAPPED, a3: local } : null;
    }
    const first = word(0) >>> 24;
    return first === 0xff || first === 0xfe ? null : { a0: word(0), a1: word(4), a2: word(8), a3: word(12) };
  }
}
