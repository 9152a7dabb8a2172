import type { Pointer } from "bun:ffi";
import { loadLibc } from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";

/**
 * What is sent, and whether what comes back is it. All sessions send windows of one block of random bytes: byte `p`
 * of a session's stream is byte `(start + p) mod BLOCK_LENGTH` of the block, and each session starts elsewhere. So a
 * message needs no header and no copy: it is sent from where it lies, and what comes back is compared there by
 * memcmp(3), every byte, by position and content. The block lies twice in a row: a window never wraps.
 */
export const BLOCK_LENGTH = 1_048_573; // a prime: windows of equal messages come round at other places each time

const libc = loadLibc();
const block = nativeMemory(2 * BLOCK_LENGTH);

/** Fills the block; the same `seed` gives the same bytes. */
export function fillBlock(seed: number): void {
  let state = (seed * 2654435761 + 12345) >>> 0 || 1;
  for (let at = 0; at < BLOCK_LENGTH; at++) {
    state ^= state << 13; // xorshift32, Marsaglia 2003
    state ^= state >>> 17;
    state ^= state << 5;
    block.bytes[at] = state;
  }
  block.bytes.copyWithin(BLOCK_LENGTH, 0, BLOCK_LENGTH);
}

/** Where a session's stream starts in the block. */
export function streamStart(session: number): number {
  return (session * 7919 + 13) % BLOCK_LENGTH;
}

/** Address of the window of a stream at `position`; `BLOCK_LENGTH` bytes can be read from there. */
export function windowAt(start: number, position: number): Pointer {
  return (block.address + ((start + position) % BLOCK_LENGTH)) as Pointer;
}

/** A copy of a window. */
export function windowBytes(start: number, position: number, length: number): Uint8Array {
  const at = (start + position) % BLOCK_LENGTH;
  return block.bytes.slice(at, at + length);
}

/** Whether `length` bytes at `address` are the stream's from `position` on. */
export function isWindow(address: number, start: number, position: number, length: number): boolean {
  return libc.memcmp(address as Pointer, windowAt(start, position), length) === 0;
}
