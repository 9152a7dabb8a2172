import type { Pointer } from "bun:ffi";
import { type Address, MAPPED } from "../../net/address.ts";
import type { Clock } from "../../state/clock.ts";
import {
  AF_INET,
  EINVAL,
  EIO,
  EMSGSIZE,
  EOPNOTSUPP,
  IPPROTO_UDP,
  isTransient,
  type Libc,
  loadLibc,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  UDP_SEGMENT,
} from "../../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../../sys/memory.ts";
import { IOVEC, MMSGHDR, writeCmsg, writeIovec, writeMsghdr } from "../../sys/msghdr.ts";
import type { BoundSocket } from "../bind.ts";
import type { LocalNumbers } from "../local-numbers.ts";
import {
  CONTROL_BYTES,
  CONTROL_DATA_WORD,
  CONTROL_LENGTH_WORD,
  CONTROL_WORDS,
  HEADER_WORDS,
  IN_DESTINATION,
  IN_LOCAL,
  IN6_INTERFACE,
  IOVEC_LENGTH_WORD,
  IOVEC_WORDS,
  IPV4_CONTROL_BYTES,
  IPV6_CONTROL_BYTES,
  NAME_BYTES,
  NAME_WORDS,
  RECEIVED_WORD,
  RUN_MIN,
  SEGMENT_CONTROL_BYTES,
  SEGMENT_MAX,
  SEGMENTED_BYTES_MAX,
  SLOT_BYTES,
  swap16,
  swap32,
} from "./batch-layout.ts";
import { SegmentRefusals } from "./segment-refusals.ts";

/** Datagrams received by one recvmmsg(2). */
export const BATCH = 64;
/**
 * The memory of one recvmmsg/sendmmsg pair, laid out once: for each datagram its bytes, the peer's sockaddr, the
 * control message that says which local address it went to (wildcard sockets only), and two headers that point to
 * them, one to receive by and one to send back by. All of it is `nativeMemory`: it neither moves nor goes.
 *
 * Reading a datagram (`read`) sets the fields below; the object is its own `Address` of the peer.
 */
export class DatagramBatch implements Address {
  a0 = 0;
  a1 = 0;
  a2 = MAPPED;
  a3 = 0;
  /** The peer's port. */
  port = 0;
  /** Payload bytes. */
  length = 0;
  /** Number of the local address that the datagram was sent to (`LocalNumbers`). */
  local = 0;
  /** Whether the datagram went to a broadcast address, so to other servers too. */
  broadcast = false;
  /** Whether the datagram is like the one read before it: same peer, same local address, same length. */
  follows = false;
  readonly serverPort: number;
  readonly #libc: Libc = loadLibc();
  readonly #fd: number;
  readonly #socket: BoundSocket;
  readonly #isV4: boolean;
  readonly #nameLength: number;
  readonly #controlLength: number;
  readonly #payloads = nativeMemory(BATCH * SLOT_BYTES);
  readonly #received: NativeMemory = nativeMemory(BATCH * MMSGHDR.bytes);
  readonly #answers: NativeMemory = nativeMemory(BATCH * MMSGHDR.bytes);
  readonly #iovecs: NativeMemory = nativeMemory(2 * BATCH * IOVEC.bytes);
  readonly #names: NativeMemory = nativeMemory(BATCH * NAME_BYTES);
  readonly #controls: NativeMemory = nativeMemory(BATCH * CONTROL_BYTES);
  /** The spare header, with iovec and control message: for banners and for segments, which no datagram's own header fits. */
  readonly #spare: NativeMemory = nativeMemory(MMSGHDR.bytes + IOVEC.bytes + CONTROL_BYTES);
  readonly #refusals: SegmentRefusals;
  readonly #locals: LocalNumbers;
  readonly #lastLocal = new Int32Array(4);
  #lastLocalNumber = -1;
  #count = 0;

  /** @param locals numbers of local addresses, one table for all sockets of a loop: a session is at one of them */
  constructor(socket: BoundSocket, locals: LocalNumbers, clock: Clock) {
    this.#refusals = new SegmentRefusals(clock);
    this.#socket = socket;
    this.#locals = locals;
    this.#fd = socket.fd;
    this.#isV4 = socket.family === AF_INET;
    this.serverPort = socket.port;
    this.#nameLength = this.#isV4 ? 16 : 28;
    this.#controlLength = socket.wildcard ? (this.#isV4 ? IPV4_CONTROL_BYTES : IPV6_CONTROL_BYTES) : 0;
    if (!socket.wildcard) this.local = this.#locals.of(`socket ${socket.fd}`);
    for (let at = 0; at < BATCH; at++) {
      const payload = this.#payloads.address + at * SLOT_BYTES;
      this.#layOut(this.#received, at, at, payload, SLOT_BYTES);
      this.#layOut(this.#answers, at, BATCH + at, payload, 0);
    }
  }

  /** Points header `at` of `headers` to its name, control and payload, the last through iovec `iovec`. */
  #layOut(headers: NativeMemory, at: number, iovec: number, payload: number, length: number): void {
    const iovecAt = iovec * IOVEC.bytes;
    writeIovec(this.#iovecs.view, iovecAt, payload, length);
    const control = this.#controls.address + at * CONTROL_BYTES;
    this.#writeHeader(headers.view, at * MMSGHDR.bytes, at, this.#iovecs.address + iovecAt, 1, control);
  }

  /** Writes a `struct msghdr` to or from the peer of datagram `at`, over `iovecCount` iovecs. */
  #writeHeader(
    view: DataView,
    header: number,
    at: number,
    iovecs: number,
    iovecCount: number,
    control: number,
    controlLength = this.#controlLength,
  ): void {
    writeMsghdr(view, header, {
      name: this.#names.address + at * NAME_BYTES,
      nameLength: this.#nameLength,
      iovecs,
      iovecCount,
      control: controlLength > 0 ? control : 0,
      controlLength,
    });
  }

  /** Receives what is there, up to BATCH datagrams; how many, or -1 for none. */
  receive(): number {
    if (this.#controlLength > 0) {
      const words = this.#received.words; // the kernel left there what the batch before used
      for (let at = 0; at < this.#count; at++) {
        words[at * HEADER_WORDS + CONTROL_LENGTH_WORD] = this.#controlLength;
      }
    }
    const count = this.#libc.recvmmsg(this.#fd, this.#received.address as Pointer, BATCH, MSG_DONTWAIT, 0);
    this.#count = Math.max(0, count);
    return count;
  }

  /** Reads datagram `at` into the fields, and readies its answer. Those before it were read before it. */
  read(at: number): void {
    const { a0, a1, a2, a3, port, length, local } = this;
    this.length = this.#received.words[at * HEADER_WORDS + RECEIVED_WORD]!;
    this.#iovecs.words[(BATCH + at) * IOVEC_WORDS + IOVEC_LENGTH_WORD] = this.length;
    const names = this.#names.words;
    const name = at * NAME_WORDS;
    this.port = swap16(names[name]! >>> 16);
    let same = at > 0 && port === this.port && length === this.length;
    if (this.#isV4) {
      this.a3 = swap32(names[name + 1]!);
    } else {
      this.a0 = swap32(names[name + 2]!);
      this.a1 = swap32(names[name + 3]!);
      this.a2 = swap32(names[name + 4]!);
      this.a3 = swap32(names[name + 5]!);
      same = same && a0 === this.a0 && a1 === this.a1 && a2 === this.a2;
    }
    if (this.#controlLength > 0) this.#readLocal(at);
    this.follows = same && a3 === this.a3 && local === this.local;
  }

  /** The bytes of all datagrams. */
  get payloads(): Uint8Array {
    return this.#payloads.bytes;
  }

  /** Where in `payloads` those of datagram `at` begin. */
  payloadAt(at: number): number {
    return at * SLOT_BYTES;
  }

  /** Payload bytes of datagram `at`, which was read before. */
  lengthOf(at: number): number {
    return this.#received.words[at * HEADER_WORDS + RECEIVED_WORD]!;
  }

  /**
   * Which address the datagram went to. The same control message goes back with the answer, and the kernel then
   * sends from that address. The interface is left to the routing table, except for link-local addresses, which mean
   * nothing without one (RFC 4007).
   */
  #readLocal(at: number): void {
    const words = this.#controls.words;
    const control = at * CONTROL_WORDS + CONTROL_DATA_WORD;
    const last = this.#lastLocal;
    if (this.#isV4) {
      words[control] = 0; // the interface
      const local = words[control + IN_LOCAL]!;
      this.broadcast = words[control + IN_DESTINATION] !== local;
      if (local !== last[0]) {
        last[0] = local;
        this.#lastLocalNumber = -1;
      }
    } else {
      if ((words[control]! & 0xc0ff) !== 0x80fe) words[control + IN6_INTERFACE] = 0; // not fe80::/10
      if (
        words[control] !== last[0] ||
        words[control + 1] !== last[1] ||
        words[control + 2] !== last[2] ||
        words[control + 3] !== last[3]
      ) {
        last.set(words.subarray(control, control + 4));
        this.#lastLocalNumber = -1;
      }
    }
    if (this.#lastLocalNumber === -1) this.#lastLocalNumber = this.#locals.of(last.join());
    this.local = this.#lastLocalNumber;
  }

  /** The local address that the datagram read last went to. */
  server(): Address {
    if (this.#controlLength === 0) return this.#socket.address;
    const [w0, w1, w2, w3] = this.#lastLocal;
    if (this.#isV4) return { a0: 0, a1: 0, a2: MAPPED, a3: swap32(w0!) };
    return { a0: swap32(w0!), a1: swap32(w1!), a2: swap32(w2!), a3: swap32(w3!) };
  }

  /**
   * Sends `count` datagrams back, from number `from` on, each as it came. How many went; 0 where the kernel takes
   * none now; -1 where the first one cannot go at all.
   */
  send(from: number, count: number): number {
    const headers = (this.#answers.address + from * MMSGHDR.bytes) as Pointer;
    const sent = this.#libc.sendmmsg(this.#fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? sent : this.#whyNot();
  }

  /** Sends `length` bytes at `address` to the peer of datagram `at`, from the same local address. Returns as `send`. */
  sendSpare(at: number, address: number, length: number): number {
    const { view } = this.#spare;
    writeIovec(view, MMSGHDR.bytes, address, length);
    const iovec = this.#spare.address + MMSGHDR.bytes;
    this.#writeHeader(view, 0, at, iovec, 1, this.#controls.address + at * CONTROL_BYTES);
    return this.#sendOne() ? 1 : this.#whyNot();
  }

  /** Whether `count` datagrams from `from` on, alike, can go back as segments of one (UDP_SEGMENT). */
  canSegment(from: number, count: number): boolean {
    if (count < RUN_MIN) return false;
    const length = this.lengthOf(from);
    return (
      length > 0 &&
      length <= SEGMENT_MAX &&
      count * length <= SEGMENTED_BYTES_MAX &&
      this.#refusals.allows(this.#names.words, from * NAME_WORDS, length)
    );
  }

  /**
   * Sends `count` datagrams from `from` on, all of one length, peer and local address, as one that the kernel cuts
   * up again as late as it can: the peer gets them as it sent them, and the stack is passed once.
   * Returns as `send`; -1 also where the kernel refuses such segments to that peer, which is then remembered.
   */
  sendSegmented(from: number, count: number): number {
    const { view } = this.#spare;
    const length = this.lengthOf(from);
    const control = MMSGHDR.bytes + IOVEC.bytes;
    const pktinfo = from * CONTROL_WORDS;
    this.#spare.words.set(
      this.#controls.words.subarray(pktinfo, pktinfo + this.#controlLength / 4),
      control / 4,
    );
    const iovec = this.#iovecs.address + (BATCH + from) * IOVEC.bytes;
    const controlLength = this.#controlLength + SEGMENT_CONTROL_BYTES;
    this.#writeHeader(view, 0, from, iovec, count, this.#spare.address + control, controlLength);
    const segment = control + this.#controlLength;
    view.setUint16(writeCmsg(view, segment, IPPROTO_UDP, UDP_SEGMENT, 2), length, true);
    if (this.#sendOne()) return count;
    const errno = this.#libc.errno();
    if (isTransient(errno)) return 0;
    // Longer than the device or the path takes: shorter ones may still go. A device that cannot: none. Anything else
    // (a filter, no route) says nothing of segments.
    const name = from * NAME_WORDS;
    if (errno === EINVAL || errno === EMSGSIZE) this.#refusals.add(this.#names.words, name, length - 1);
    else if (errno === EIO || errno === EOPNOTSUPP) this.#refusals.add(this.#names.words, name, 0);
    return -1;
  }

  /** sendmsg(2) of the spare header. */
  #sendOne(): boolean {
    return this.#libc.sendmsg(this.#fd, this.#spare.address as Pointer, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  }

  #whyNot(): number {
    const errno = this.#libc.errno();
    return isTransient(errno) ? 0 : -1;
  }
}
