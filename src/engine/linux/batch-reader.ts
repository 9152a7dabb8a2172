import { MAPPED } from "../../net/address.ts";
import { ROW_ENDS, ROW_LENGTH, ROW_NOTE, ROW_WORDS } from "../../rules/udp-rows.ts";
import type { LocalNumbers } from "../local-numbers.ts";
import {
  ANSWER_LENGTH_WORD,
  BATCH,
  CONTROL_DATA_WORD,
  CONTROL_LENGTH_WORD,
  CONTROL_WORDS,
  HEADER_WORDS,
  IN_DESTINATION,
  IN_LOCAL,
  IN6_INTERFACE,
  IOVEC_WORDS,
  NAME_SCOPE,
  NAME_WORD,
  NAME_WORDS,
  RECEIVED_WORD,
  swap16,
  swap32,
} from "./batch-layout.ts";

/**
 * Notes of a row: the datagram is like the one before it: same peer, same local address, same length. Two peers on two links
 * may have one link-local address: they are not the same.
 */
export const FOLLOWS = 1;
/** It went to a broadcast address, so to other servers too. Its row names no port, so that no session is taken for its. */
export const BROADCAST = 2;

/**
 * Reads what recvmmsg(2) left in a batch's memory into rows for the rules, and readies headers for the next: the lengths
 * of the answers, and the room for control messages, where the kernel wrote what it used.
 *
 * A wildcard socket's control message says which local address a datagram went to. The same message goes back with the
 * answer, and the kernel then sends from that address. The interface is left to the routing table, except for
 * link-local addresses, which mean nothing without one (RFC 4007). The loops below call nothing and stop where the local
 * address changes, so the JIT keeps all that does not change in registers.
 */
export class BatchReader {
  readonly rows = new Int32Array(BATCH * ROW_WORDS);
  /** Whether any datagram of the batch has a note. */
  hasNotes = false;
  readonly #words: Int32Array;
  readonly #isV4: boolean;
  readonly #controlLength: number;
  readonly #locals: LocalNumbers;
  /** The local address, as it lies in the control message; zeros where the socket is bound to one. */
  readonly #local = new Int32Array(4);
  #number = 0;

  /**
   * @param words the batch's memory
   * @param controlLength room for the control message of a datagram, 0 where the socket is bound to one address
   * @param ownNumber that address's number
   */
  constructor(
    words: Int32Array,
    isV4: boolean,
    controlLength: number,
    locals: LocalNumbers,
    ownNumber: number,
  ) {
    this.#words = words;
    this.#isV4 = isV4;
    this.#controlLength = controlLength;
    this.#locals = locals;
    this.#number = ownNumber;
    if (isV4) for (let row = 0; row < this.rows.length; row += ROW_WORDS) this.rows[row + 2] = MAPPED;
  }

  /** Reads the `count` datagrams that were received. */
  read(count: number): void {
    this.hasNotes = false;
    for (let at = 0; at < count; ) {
      const next = this.#isV4 ? this.#readV4(at, count) : this.#readV6(at, count);
      if (next === at) this.#takeLocal(at);
      at = next;
    }
  }

  /** Reads datagrams from `at` on, up to one that went to another local address; returns the number of that one. */
  #readV4(from: number, count: number): number {
    const words = this.#words;
    const rows = this.rows;
    const controlLength = this.#controlLength;
    const local = this.#local[0]!;
    const number = this.#number << 16;
    let notes = 0;
    let lastAddress = 0;
    let lastEnds = 0;
    let lastLength = -1;
    let at = from;
    for (; at < count; at++) {
      const control = CONTROL_DATA_WORD + at * CONTROL_WORDS;
      if (words[control + IN_LOCAL] !== local) break;
      const name = NAME_WORD + at * NAME_WORDS;
      const address = swap32(words[name + 1]!);
      let ends = swap16(words[name]! >>> 16) | number;
      const length = words[at * HEADER_WORDS + RECEIVED_WORD]!;
      let note = length === lastLength && ends === lastEnds && address === lastAddress ? FOLLOWS : 0;
      if (words[control + IN_DESTINATION] !== local) {
        note = BROADCAST;
        ends = number;
      }
      const row = at * ROW_WORDS;
      rows[row + 3] = address;
      rows[row + ROW_ENDS] = ends;
      rows[row + ROW_LENGTH] = length;
      rows[row + ROW_NOTE] = note;
      words[control] = 0; // the interface
      words[ANSWER_LENGTH_WORD + at * IOVEC_WORDS] = length;
      words[at * HEADER_WORDS + CONTROL_LENGTH_WORD] = controlLength;
      notes |= note;
      lastAddress = address;
      lastEnds = ends;
      lastLength = length;
    }
    if (notes !== 0) this.hasNotes = true;
    return at;
  }

  /** The same over IPv6, which knows no broadcast. */
  #readV6(from: number, count: number): number {
    const words = this.#words;
    const rows = this.rows;
    const [l0, l1, l2, l3] = this.#local;
    const isLinkLocal = (l0! & 0xc0ff) === 0x80fe; // fe80::/10
    let notes = 0;
    let at = from;
    for (; at < count; at++) {
      const control = CONTROL_DATA_WORD + at * CONTROL_WORDS;
      const isHere =
        words[control] === l0 &&
        words[control + 1] === l1 &&
        words[control + 2] === l2 &&
        words[control + 3] === l3;
      if (!isHere) break;
      if (!isLinkLocal) words[control + IN6_INTERFACE] = 0;
      const name = NAME_WORD + at * NAME_WORDS;
      const row = at * ROW_WORDS;
      const length = words[at * HEADER_WORDS + RECEIVED_WORD]!;
      rows[row] = swap32(words[name + 2]!);
      rows[row + 1] = swap32(words[name + 3]!);
      rows[row + 2] = swap32(words[name + 4]!);
      rows[row + 3] = swap32(words[name + 5]!);
      rows[row + ROW_ENDS] = swap16(words[name]! >>> 16) | (this.#number << 16);
      rows[row + ROW_LENGTH] = length;
      const isSameLink = words[name + NAME_SCOPE] === words[name - NAME_WORDS + NAME_SCOPE];
      const note = at > from && isSameLink && isLikeBefore(rows, row) ? FOLLOWS : 0;
      rows[row + ROW_NOTE] = note;
      words[ANSWER_LENGTH_WORD + at * IOVEC_WORDS] = length;
      words[at * HEADER_WORDS + CONTROL_LENGTH_WORD] = this.#controlLength;
      notes |= note;
    }
    if (notes !== 0) this.hasNotes = true;
    return at;
  }

  /** From here on the local address is that of datagram `at`. */
  #takeLocal(at: number): void {
    const control = CONTROL_DATA_WORD + at * CONTROL_WORDS;
    if (this.#isV4) this.#local[0] = this.#words[control + IN_LOCAL]!;
    else this.#local.set(this.#words.subarray(control, control + 4));
    this.#number = this.#locals.of(this.#local.join());
  }
}

/** Whether a row has the key and the length of the one before it. */
function isLikeBefore(rows: Int32Array, row: number): boolean {
  const before = row - ROW_WORDS;
  return (
    rows[row + ROW_LENGTH] === rows[before + ROW_LENGTH] &&
    rows[row + ROW_ENDS] === rows[before + ROW_ENDS] &&
    rows[row + 3] === rows[before + 3] &&
    rows[row + 2] === rows[before + 2] &&
    rows[row + 1] === rows[before + 1] &&
    rows[row] === rows[before]
  );
}
