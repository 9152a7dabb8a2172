import type { Pointer } from "bun:ffi";
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { loadLibc, POLLERR, POLLOUT } from "./libc.ts";
import { nativeMemory } from "./memory.ts";

/** The most bytes that wait for a slow reader. Further lines are lost. */
const WAITING_BYTES_MAX = 1024 * 1024;

/**
 * The most that is written at once. A pipe that is writable takes as much without blocking (PIPE_BUF on Linux,
 * pipe(7)), and takes it as one.
 */
const PIECE_BYTES = 4096;

/** Time between two looks whether the reader is back. */
const RETRY_MS = 5;

/**
 * Lines on a descriptor that may be a pipe nobody reads, a stopped terminal, a slow disk: writing never waits for a
 * reader. A line is written before the call returns as long as the reader keeps up; then lines wait, up to a bound;
 * then they are lost, and from the first lost one on all are until those that wait have been read, so that there is
 * one gap and its place is known.
 */
export class LineOutput {
  /** Lines lost so far. */
  linesLost = 0;
  /** Bytes that wait to be taken. */
  waitingBytes = 0;
  /** The first error by which lines were lost (`ENOSPC`); null where there was none, or where the reader has gone. */
  fault: string | null = null;
  /** The reader is back after lines were lost: told how many, before anything else is written. */
  onReaderBack: ((lines: number) => void) | null = null;
  readonly #descriptor: number;
  readonly #write: (bytes: Uint8Array) => number;
  #waiting: Uint8Array[] = [];
  /** Lines lost since the reader was last there. */
  #gap = 0;
  #retry: Timer | null = null;
  #poll: (() => number) | null = null;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#write = patientWriter(descriptor);
  }

  /**
   * Whether the reader of a pipe or socket has closed it, and never comes back: known without writing anything, by poll(2).
   * False where it only does not read, for any other file, and where there is no libc to ask.
   */
  readerIsGone(): boolean {
    this.#poll ??= pollOf(this.#descriptor);
    return (this.#poll() & POLLERR) !== 0;
  }

  /** Writes a line, which ends with a line feed; or keeps it, or loses it. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#gap > 0 || this.waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.#gap++;
      this.linesLost++;
      return;
    }
    this.#waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.#retry === null) this.#pump();
  }

  /** Writes what waits, as far as somebody reads it within `patienceMs`; for the moment before an end. */
  flush(patienceMs: number): void {
    const endMs = performance.now() + patienceMs;
    for (this.#pump(); this.waitingBytes > 0 && performance.now() < endMs; this.#pump()) Bun.sleepSync(1);
  }

  /** Writes as much of what waits as is taken now. */
  #pump(): void {
    let written = 0;
    while (written < this.#waiting.length) {
      const bytes = this.#waiting[written]!;
      const taken = this.#take(bytes);
      this.waitingBytes -= taken;
      if (taken < bytes.length) {
        this.#waiting[written] = bytes.subarray(taken);
        break;
      }
      written++;
    }
    this.#waiting.splice(0, written);
    if (this.waitingBytes > 0) this.#retry ??= setTimeout(() => this.#again(), RETRY_MS).unref();
    else this.#endGap();
  }

  #again(): void {
    this.#retry = null;
    this.#pump();
  }

  /** Bytes written of a line; all of it, too, where it can never be written. */
  #take(bytes: Uint8Array): number {
    let taken = 0;
    try {
      while (taken < bytes.length) {
        const more = this.#write(bytes.subarray(taken, taken + PIECE_BYTES));
        if (more === 0) return taken;
        taken += more;
      }
    } catch (error) {
      this.fault ??= faultOf(error);
      this.linesLost++; // the reader has gone, or the disk is full: no line will do better by waiting
    }
    return bytes.length;
  }

  #endGap(): void {
    const lines = this.#gap;
    this.#gap = 0;
    if (lines > 0) this.onReaderBack?.(lines);
  }
}

/** What became of a text: its reader has all of it, has gone, or has not read for too long; or the error of the writing. */
type Written = "all" | "gone" | "stalled" | { readonly fault: string };

/**
 * Writes a whole text, however slowly it is read: a pager holds up a pipe for minutes.
 * @param stallMs that somebody may read nothing for
 */
export async function writeWhole(descriptor: number, text: string, stallMs: number): Promise<Written> {
  const bytes = Buffer.from(text);
  const write = patientWriter(descriptor);
  let endMs = performance.now() + stallMs;
  for (let taken = 0; taken < bytes.length; ) {
    try {
      const more = write(bytes.subarray(taken, taken + PIECE_BYTES));
      taken += more;
      if (more > 0) endMs = performance.now() + stallMs;
      else if (performance.now() >= endMs) return "stalled";
      else await Bun.sleep(RETRY_MS);
    } catch (error) {
      const fault = faultOf(error);
      return fault === null ? "gone" : { fault };
    }
  }
  return "all";
}

/**
 * A write that takes what it can without waiting: the bytes taken, 0 for none now. Throws what write(2) says else.
 *
 * Whether a descriptor blocks is a property of the open file, which others share (the shell's own terminal, the other
 * writers of a pipe): so it is not changed, but the file is opened once more, not to block, for this process alone.
 * Where that may not be (a socket, a pipe of somebody else's) poll(2) is asked before each piece. Without libc and
 * /proc, writing may block.
 */
function patientWriter(descriptor: number): (bytes: Uint8Array) => number {
  const own = reopened(descriptor);
  if (own !== null) return (bytes) => writeNow(own, bytes);
  const poll = pollOf(descriptor);
  return (bytes) => (poll() !== 0 ? writeNow(descriptor, bytes) : 0);
}

/** Errors of a write for which nobody is there any more. */
const READER_GONE = ["EPIPE", "ECONNRESET"];

/** The code of an error of write(2): `ENOSPC`. Null where the reader has gone, which is none of the writer's. */
function faultOf(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return READER_GONE.includes(code) ? null : code;
}

function writeNow(descriptor: number, bytes: Uint8Array): number {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}

/** The same pipe or terminal, opened again and not blocking; null where it is neither, or may not be. */
function reopened(descriptor: number): number | null {
  if (process.platform !== "linux") return null; // elsewhere it would be the same open file
  try {
    const before = fstatSync(descriptor);
    if (!before.isFIFO() && !before.isCharacterDevice()) return null; // a file's place would be lost
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
    const own = openSync(`/proc/self/fd/${descriptor}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    const after = fstatSync(own);
    if (after.ino === before.ino && after.dev === before.dev) return own;
    closeSync(own);
  } catch {
    // No /proc, no permission, no reader yet.
  }
  return null;
}

/** What poll(2) says of writing now, 0 while it would wait; writable, always, where there is no libc to ask. */
function pollOf(descriptor: number): () => number {
  try {
    const libc = loadLibc();
    const memory = nativeMemory(8); // struct pollfd: int fd, short events, short revents
    memory.view.setInt32(0, descriptor, true);
    memory.view.setInt16(4, POLLOUT, true);
    return () => (libc.poll(memory.address as Pointer, 1, 0) > 0 ? memory.view.getInt16(6, true) : 0);
  } catch {
    return () => POLLOUT;
  }
}
