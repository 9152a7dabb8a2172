import { COUNTER } from "../../state/counters.ts";

/** The most that is read or sent at once: what a slow reader can leave unsent, and so what it can cost. */
export const WINDOW_BYTES = 64 * 1024;

/** With this much queued in all, sessions are read in small pieces: many slow readers then cost 8 KiB each, not 64. */
const QUEUED_BYTES_PRESSURE = 32 * 1024 * 1024;
const WINDOW_BYTES_UNDER_PRESSURE = 8 * 1024;

/** Bytes for a slow reader that the kernel did not take. The first `sent` of them have been sent since. */
interface Queue {
  bytes: Uint8Array;
  sent: number;
}

/** The queues of a loop's sessions, by descriptor, and how much may be read at once because of them. */
export class SendQueues {
  readonly #queues = new Map<number, Queue>();
  readonly #counters: Float64Array;
  readonly #maxQueuedBytes: number;

  constructor(counters: Float64Array, maxQueuedBytes: number) {
    this.#counters = counters;
    this.#maxQueuedBytes = maxQueuedBytes;
  }

  has(fd: number): boolean {
    return this.#queues.has(fd);
  }

  /** Adds a copy of `rest` to the queue. False where the queue is now longer than `maxQueuedBytes`. */
  add(fd: number, rest: Uint8Array): boolean {
    const queue = this.#queues.get(fd);
    const all = queue === undefined ? rest.slice() : concat(queue.bytes.subarray(queue.sent), rest);
    this.#queues.set(fd, { bytes: all, sent: 0 });
    this.#counters[COUNTER.tcpQueuedBytes]! += rest.length;
    return all.length <= this.#maxQueuedBytes;
  }

  /** The bytes to send next, WINDOW_BYTES at most. Throws where there is no queue. */
  next(fd: number): Uint8Array {
    const queue = this.#queues.get(fd)!;
    return queue.bytes.subarray(queue.sent, queue.sent + WINDOW_BYTES);
  }

  /**
   * The kernel took the first `bytes` of the queue. True once the queue is empty.
   * @throws when there are fewer: the queue is another session's
   */
  sent(fd: number, bytes: number): boolean {
    const queue = this.#queues.get(fd)!;
    if (queue.sent + bytes > queue.bytes.length)
      throw new Error(`more bytes of descriptor ${fd} are sent than queued`);
    queue.sent += bytes;
    this.#counters[COUNTER.tcpQueuedBytes]! -= bytes;
    return queue.sent === queue.bytes.length && this.#queues.delete(fd);
  }

  /** The session is over: its queue is dropped. */
  drop(fd: number): void {
    const queue = this.#queues.get(fd);
    if (queue === undefined) return;
    this.#queues.delete(fd);
    this.#counters[COUNTER.tcpQueuedBytes]! += queue.sent - queue.bytes.length;
  }

  /** Bytes to read at once: never more than may be queued. Reading stops at the first unsent byte, so the bound holds. */
  windowBytes(): number {
    const pressed = this.#counters[COUNTER.tcpQueuedBytes]! > QUEUED_BYTES_PRESSURE;
    return Math.min(pressed ? WINDOW_BYTES_UNDER_PRESSURE : WINDOW_BYTES, this.#maxQueuedBytes);
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
