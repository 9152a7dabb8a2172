import type { Pointer } from "bun:ffi";
import { loadLibc } from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";

/**
 * What is sent, and whether what comes back is it. All sessions send windows of one block of random bytes: byte `p`
 * of a session's stream is byte `(start + p) mod BLOCK_LENGTH` of the block, and each session starts elsewhere. The first
 * bytes of a message say whose it is and which (`HEADER_BYTES`); they are written into the window for as long as it takes
 * to send it or to compare it, so a message costs no copy, and what comes back is compared by memcmp(3), every byte, by
 * position and content. The block lies twice in a row: a window never wraps.
 */
export const BLOCK_LENGTH = 1_048_573; // a prime: windows of equal messages come round at other places each time

/**
 * The session's identity, mixed with the message's number so that damage to either shows; then the number.
 * Shorter messages have no header, and cannot be told apart with certainty.
 */
export const HEADER_BYTES = 8;

/** A header of which the first bytes were taken care of before may begin ahead of the window. */
const MARGIN = HEADER_BYTES;

const libc = loadLibc();
const block = nativeMemory(MARGIN + 2 * BLOCK_LENGTH + HEADER_BYTES);
const { view } = block;

/** What headers displaced: two words for each. */
let displaced = new Int32Array(2 * 1024);

/** Fills the block; the same `seed` gives the same bytes. */
export function fillBlock(seed: number): void {
  let state = (seed * 2654435761 + 12345) >>> 0 || 1;
  for (let at = MARGIN; at < MARGIN + BLOCK_LENGTH; at++) {
    state ^= state << 13; // xorshift32, Marsaglia 2003
    state ^= state >>> 17;
    state ^= state << 5;
    block.bytes[at] = state;
  }
  block.bytes.copyWithin(MARGIN + BLOCK_LENGTH, MARGIN, MARGIN + BLOCK_LENGTH);
}

/** What a session sends: its identity, where its stream starts in the block, and the size of its messages. */
export interface Stream {
  readonly identity: number;
  readonly start: number;
  readonly size: number;
}

/** Identities are below this, so that hardly any damaged header has one. */
export const IDENTITIES = 2 ** 22;

/** @param identity a whole number below `IDENTITIES` */
export function streamOf(identity: number, size: number): Stream {
  return { identity, start: ((identity % BLOCK_LENGTH) * 7919 + 13) % BLOCK_LENGTH, size };
}

/** Whether messages of this size say whose they are and which. */
export function hasHeader(size: number): boolean {
  return size >= HEADER_BYTES;
}

/** Odd, so that they have inverses modulo 2 ** 32; Knuth's multiplicative hashing. */
const SPREAD = 0x9e3779b1;
const STIR = 0x85ebca6b;
const UNSPREAD = inverse(SPREAD);

/** Newton's iteration: each step doubles the bits that are right. */
function inverse(odd: number): number {
  let found = odd;
  for (let step = 0; step < 5; step++) found = Math.imul(found, 2 - Math.imul(odd, found));
  return found;
}

/** The first word of a header. One wrong bit in either word makes another identity of it, far away. */
function mixed(identity: number, number: number): number {
  return Math.imul(identity, SPREAD) ^ Math.imul(number, STIR);
}

/** Identity of the message whose header stands at `at` in `bytes`. */
export function identityIn(bytes: DataView, at: number): number {
  return Math.imul(bytes.getInt32(at, true) ^ Math.imul(bytes.getInt32(at + 4, true), STIR), UNSPREAD);
}

/** Number of the message whose header stands at `at` in `bytes`. */
export function numberIn(bytes: DataView, at: number): number {
  return bytes.getUint32(at + 4, true);
}

/** Sends `length` bytes of a stream from `position` on; returns what send(2) does. At most `BLOCK_LENGTH` bytes. */
export function sendWindow(
  fd: number,
  stream: Stream,
  position: number,
  length: number,
  flags: number,
): number {
  const at = MARGIN + ((stream.start + position) % BLOCK_LENGTH);
  const first = putHeaders(stream, position, length, at);
  const sent = libc.send(fd, (block.address + at) as Pointer, length, flags);
  restore(first, at + length, stream.size);
  return sent;
}

/** Whether `length` bytes at `address` are the stream's from `position` on. At most `BLOCK_LENGTH` bytes. */
export function isWindow(address: number, stream: Stream, position: number, length: number): boolean {
  const at = MARGIN + ((stream.start + position) % BLOCK_LENGTH);
  const first = putHeaders(stream, position, length, at);
  const same = libc.memcmp(address as Pointer, (block.address + at) as Pointer, length) === 0;
  restore(first, at + length, stream.size);
  return same;
}

/** Whether the `length` bytes at `address` are those of message `number` behind its header. */
export function isBody(address: number, stream: Stream, number: number): boolean {
  const { start, size } = stream;
  if (size === HEADER_BYTES) return true;
  const at = MARGIN + ((start + number * size + HEADER_BYTES) % BLOCK_LENGTH);
  const from = (address + HEADER_BYTES) as Pointer;
  return libc.memcmp(from, (block.address + at) as Pointer, size - HEADER_BYTES) === 0;
}

/** A copy of a part of a stream. */
export function windowBytes(stream: Stream, position: number, length: number): Uint8Array {
  const at = MARGIN + ((stream.start + position) % BLOCK_LENGTH);
  const first = putHeaders(stream, position, length, at);
  const bytes = block.bytes.slice(at, at + length);
  restore(first, at + length, stream.size);
  return bytes;
}

/**
 * Writes the headers of all messages that lie in a part of a stream, which itself lies at `at` of the block.
 * @returns where the first of them lies
 */
function putHeaders({ identity, size }: Stream, position: number, length: number, at: number): number {
  const end = at + length;
  if (size < HEADER_BYTES) return end;
  let number = Math.floor(position / size);
  const into = position - number * size;
  let first = at - into;
  if (into >= HEADER_BYTES) {
    number++;
    first += size;
  }
  let kept = 0;
  for (let header = first; header < end; header += size) {
    if (kept === displaced.length) grow();
    displaced[kept++] = view.getInt32(header, true);
    displaced[kept++] = view.getInt32(header + 4, true);
    view.setInt32(header, mixed(identity, number), true);
    view.setInt32(header + 4, number, true);
    number++;
  }
  return first;
}

function restore(first: number, end: number, size: number): void {
  let kept = 0;
  for (let header = first; header < end; header += size) {
    view.setInt32(header, displaced[kept++]!, true);
    view.setInt32(header + 4, displaced[kept++]!, true);
  }
}

function grow(): void {
  const longer = new Int32Array(2 * displaced.length);
  longer.set(displaced);
  displaced = longer;
}
