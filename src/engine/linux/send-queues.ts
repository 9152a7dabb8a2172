import { COUNTER } from "../../state/counters.ts";

/** The most that is read or sent at once: what a slow reader can leave unsent, and so what it can cost. */
export const WINDOW_BYTES = 64 * 1024;

/** With this much queued in all, sessions are read in small pieces: many slow readers then cost 8 KiB each, not 64. */
const QUEUED_BYTES_PRESSURE = 32 * 1024 * 1024;
const WINDOW_BYTES_UNDER_PRESSURE = 8 * 1024;

/** What is owed to a slow reader: kept out of the kernel only while the kernel takes no more. */
interface Queue {
  bytes: Uint8Array;
  sent: number;
}

/** What a loop's sessions are owed, by descriptor, and how much may be read at once for it. */
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

  /** Keeps a copy of `rest` behind what is owed already. False where that is more than may be kept. */
  add(fd: number, rest: Uint8Array): boolean {
    const queue = this.#queues.get(fd);
    const all = queue === undefined ? rest.slice() : concat(queue.bytes.subarray(queue.sent), rest);
    this.#queues.set(fd, { bytes: all, sent: 0 });
    this.#counters[COUNTER.tcpQueuedBytes]! += rest.length;
    return all.length <= this.#maxQueuedBytes;
  }

  /** What is to be sent next, WINDOW_BYTES at most. Throws where nothing is owed. */
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

  /** The session is over. */
  drop(fd: number): void {
    const queue = this.#queues.get(fd);
    if (queue === undefined) return;
    this.#queues.delete(fd);
    this.#counters[COUNTER.tcpQueuedBytes]! += queue.sent - queue.bytes.length;
  }

  /** Never more than may be queued: reading stops at the first byte unsent, so the bound holds by itself. */
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
