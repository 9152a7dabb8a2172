import type { Pointer } from "bun:ffi";
import { type Address, MAPPED } from "../../net/address.ts";
import { ROW_ENDS, ROW_LENGTH, ROW_NOTE, ROW_WORDS } from "../../rules/udp-rows.ts";
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
  ANSWER_IOVECS_AT,
  ANSWERS_AT,
  BATCH,
  BATCH_BYTES,
  CONTROL_BYTES,
  CONTROL_DATA_WORD,
  CONTROL_WORD,
  CONTROL_WORDS,
  CONTROLS_AT,
  IN_LOCAL,
  IOVECS_AT,
  IPV4_CONTROL_BYTES,
  IPV6_CONTROL_BYTES,
  NAME_BYTES,
  NAME_WORD,
  NAME_WORDS,
  NAMES_AT,
  RECEIVED_AT,
  RUN_MIN,
  SEGMENT_CONTROL_BYTES,
  SEGMENT_MAX,
  SEGMENTED_BYTES_MAX,
  SLOT_BYTES,
  swap32,
} from "./batch-layout.ts";
import { BatchReader, BROADCAST, FOLLOWS } from "./batch-reader.ts";
import { SegmentRefusals } from "./segment-refusals.ts";

/**
 * The memory of one recvmmsg/sendmmsg pair, laid out once: for each datagram its bytes, the peer's sockaddr, the
 * control message that says which local address it went to (wildcard sockets only), and two headers that point to
 * them, one to receive by and one to send back by. All of it is `nativeMemory`: it neither moves nor goes.
 *
 * `receive` reads what came into `rows`, for the rules. Where one datagram is looked at by itself, `read` sets the fields
 * below; the object is its own `Address` of the peer.
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
  readonly serverPort: number;
  readonly #libc: Libc = loadLibc();
  readonly #fd: number;
  readonly #socket: BoundSocket;
  readonly #isV4: boolean;
  readonly #nameLength: number;
  readonly #controlLength: number;
  readonly #payloads = nativeMemory(BATCH * SLOT_BYTES);
  /** Headers, iovecs, names and control messages (`batch-layout.ts`). */
  readonly #memory: NativeMemory = nativeMemory(BATCH_BYTES);
  readonly #reader: BatchReader;
  /** The spare header, with iovec and control message: for banners and for segments, which no datagram's own header fits. */
  readonly #spare: NativeMemory = nativeMemory(MMSGHDR.bytes + IOVEC.bytes + CONTROL_BYTES);
  readonly #refusals: SegmentRefusals;
  /** @param locals numbers of local addresses, one table for all sockets of a loop: a session is at one of them */
  constructor(socket: BoundSocket, locals: LocalNumbers, clock: Clock) {
    this.#refusals = new SegmentRefusals(clock);
    this.#socket = socket;
    this.#fd = socket.fd;
    this.#isV4 = socket.family === AF_INET;
    this.serverPort = socket.port;
    this.#nameLength = this.#isV4 ? 16 : 28;
    this.#controlLength = socket.wildcard ? (this.#isV4 ? IPV4_CONTROL_BYTES : IPV6_CONTROL_BYTES) : 0;
    this.#reader = new BatchReader(
      this.#memory.words,
      this.#isV4,
      this.#controlLength,
      locals,
      locals.of(`socket ${socket.fd}`),
    );
    for (let at = 0; at < BATCH; at++) {
      const payload = this.#payloads.address + at * SLOT_BYTES;
      this.#layOut(RECEIVED_AT, IOVECS_AT, at, payload, SLOT_BYTES);
      this.#layOut(ANSWERS_AT, ANSWER_IOVECS_AT, at, payload, 0);
    }
  }

  /** Points header `at` of those at `headers` to its name, control and payload, the last through its own iovec. */
  #layOut(headers: number, iovecs: number, at: number, payload: number, length: number): void {
    const { view, address } = this.#memory;
    const iovec = iovecs + at * IOVEC.bytes;
    writeIovec(view, iovec, payload, length);
    this.#writeHeader(view, headers + at * MMSGHDR.bytes, at, address + iovec, 1, this.#controlAddress(at));
  }

  #controlAddress(at: number): number {
    return this.#memory.address + CONTROLS_AT + at * CONTROL_BYTES;
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
      name: this.#memory.address + NAMES_AT + at * NAME_BYTES,
      nameLength: this.#nameLength,
      iovecs,
      iovecCount,
      control: controlLength > 0 ? control : 0,
      controlLength,
    });
  }

  /** Receives what is there, up to BATCH datagrams, and reads it; how many, or -1 for none. */
  receive(): number {
    const headers = (this.#memory.address + RECEIVED_AT) as Pointer;
    const count = this.#libc.recvmmsg(this.#fd, headers, BATCH, MSG_DONTWAIT, 0);
    if (count > 0) this.#reader.read(count);
    return count;
  }

  /** What was received, as the rules take it. */
  get rows(): Int32Array {
    return this.#reader.rows;
  }

  /** Whether a datagram is like the one before it, or went to a broadcast address. */
  get hasNotes(): boolean {
    return this.#reader.hasNotes;
  }

  /** Sets the fields to those of datagram `at`. */
  read(at: number): void {
    const { rows } = this.#reader;
    const row = at * ROW_WORDS;
    this.a0 = rows[row]!;
    this.a1 = rows[row + 1]!;
    this.a2 = rows[row + 2]!;
    this.a3 = rows[row + 3]!;
    this.port = rows[row + ROW_ENDS]! & 0xffff;
    this.local = rows[row + ROW_ENDS]! >>> 16;
    this.length = rows[row + ROW_LENGTH]!;
    this.broadcast = rows[row + ROW_NOTE] === BROADCAST;
  }

  /** Whether datagram `at` is like the one before it: same peer, same local address, same length. */
  follows(at: number): boolean {
    return this.#reader.rows[at * ROW_WORDS + ROW_NOTE] === FOLLOWS;
  }

  /** The bytes of all datagrams. */
  get payloads(): Uint8Array {
    return this.#payloads.bytes;
  }

  /** Where in `payloads` those of datagram `at` begin. */
  payloadAt(at: number): number {
    return at * SLOT_BYTES;
  }

  /** Payload bytes of datagram `at`. */
  lengthOf(at: number): number {
    return this.#reader.rows[at * ROW_WORDS + ROW_LENGTH]!;
  }

  /** The local address that datagram `at` went to. */
  server(at: number): Address {
    if (this.#controlLength === 0) return this.#socket.address;
    const { words } = this.#memory;
    const control = CONTROL_DATA_WORD + at * CONTROL_WORDS;
    const word = (number: number): number => swap32(words[control + number]!);
    if (this.#isV4) return { a0: 0, a1: 0, a2: MAPPED, a3: word(IN_LOCAL) };
    return { a0: word(0), a1: word(1), a2: word(2), a3: word(3) };
  }

  /**
   * Sends `count` datagrams back, from number `from` on, each as it came. How many went; 0 where the kernel takes
   * none now; -1 where the first one cannot go at all.
   */
  send(from: number, count: number): number {
    const headers = (this.#memory.address + ANSWERS_AT + from * MMSGHDR.bytes) as Pointer;
    const sent = this.#libc.sendmmsg(this.#fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? sent : this.#whyNot();
  }

  /** Sends `length` bytes at `address` to the peer of datagram `at`, from the same local address. Returns as `send`. */
  sendSpare(at: number, address: number, length: number): number {
    const { view } = this.#spare;
    writeIovec(view, MMSGHDR.bytes, address, length);
    const iovec = this.#spare.address + MMSGHDR.bytes;
    this.#writeHeader(view, 0, at, iovec, 1, this.#controlAddress(at));
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
      this.#refusals.allows(this.#memory.words, NAME_WORD + from * NAME_WORDS, length)
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
    const { words, address } = this.#memory;
    const pktinfo = CONTROL_WORD + from * CONTROL_WORDS;
    this.#spare.words.set(words.subarray(pktinfo, pktinfo + this.#controlLength / 4), control / 4);
    const iovec = address + ANSWER_IOVECS_AT + from * IOVEC.bytes;
    const controlLength = this.#controlLength + SEGMENT_CONTROL_BYTES;
    this.#writeHeader(view, 0, from, iovec, count, this.#spare.address + control, controlLength);
    const segment = control + this.#controlLength;
    view.setUint16(writeCmsg(view, segment, IPPROTO_UDP, UDP_SEGMENT, 2), length, true);
    if (this.#sendOne()) return count;
    const errno = this.#libc.errno();
    if (isTransient(errno)) return 0;
    // Longer than the device or the path takes: shorter ones may still go. A device that cannot: none. Anything else
    // (a filter, no route) says nothing of segments.
    const name = NAME_WORD + from * NAME_WORDS;
    if (errno === EINVAL || errno === EMSGSIZE) this.#refusals.add(words, name, length - 1);
    else if (errno === EIO || errno === EOPNOTSUPP) this.#refusals.add(words, name, 0);
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
