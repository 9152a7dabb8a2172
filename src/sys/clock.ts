import type { Pointer } from "bun:ffi";
import { CLOCK_REALTIME, loadLibc } from "./libc.ts";
import { TIMESPEC } from "./msghdr.ts";
import { socketScratch } from "./socket.ts";

/** Both clocks at one moment. */
export interface ClockReading {
  /** The wall clock: seconds since 1970, and nanoseconds. */
  readonly seconds: number;
  readonly nanos: number;
  /** The same moment by this thread's `performance.now()`. */
  readonly atMs: number;
  /** By how much they may be of different moments: half the time that the reading took. */
  readonly offByMs: number;
}

/** A reading that may be off by more is no moment: the thread was taken off its core in between. */
const OFF_BY_MS_MAX = 0.001;
const TRIES = 4;

/** Reads both clocks, the wall clock between two looks at the other one; the closest of some tries, where it must be. */
export function readClocks(): ClockReading {
  let best = readOnce();
  for (let tries = 1; best.offByMs > OFF_BY_MS_MAX && tries < TRIES; tries++) {
    const again = readOnce();
    if (again.offByMs < best.offByMs) best = again;
  }
  return best;
}

function readOnce(): ClockReading {
  const { address, view } = socketScratch();
  const before = performance.now();
  loadLibc().clock_gettime(CLOCK_REALTIME, address as Pointer);
  const after = performance.now();
  return { ...readTimespec(view, 0), atMs: (before + after) / 2, offByMs: (after - before) / 2 };
}

/** A `struct timespec`: the numbers are small enough to be exact. */
export function readTimespec(view: DataView, at: number): { seconds: number; nanos: number } {
  return {
    seconds:
      view.getInt32(at + TIMESPEC.seconds + 4, true) * 2 ** 32 + view.getUint32(at + TIMESPEC.seconds, true),
    nanos: view.getUint32(at + TIMESPEC.nanos, true),
  };
}
