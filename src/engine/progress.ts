import type { Pointer } from "bun:ffi";
import { hasLibc, IPPROTO_TCP, type Libc, loadLibc, SIOCINQ, SIOCOUTQ, TCP_INFO } from "../sys/libc.ts";
import { type NativeMemory, nativeMemory } from "../sys/memory.ts";

/** Where in `struct tcp_info` (linux/tcp.h): milliseconds since data was last sent, bytes acknowledged (Linux 4.1). */
const LAST_DATA_SENT = 44;
const BYTES_ACKED = 120;
const TCP_INFO_BYTES = 128;

/** Where in the scratch memory the answer's length is, and what an ioctl answers. */
const LENGTH = TCP_INFO_BYTES;
const ANSWER = TCP_INFO_BYTES + 4;

/**
 * How far a connection's bytes have come, as the kernel knows. Asked at deadlines only, never per message. Where there
 * is no libc to ask by, nothing is known: nothing unread, nothing on its way.
 */
export class TcpProgress {
  readonly #libc: Libc | null = hasLibc() ? loadLibc() : null;
  readonly #memory: NativeMemory | null = this.#libc === null ? null : nativeMemory(ANSWER + 4);
  /** By slot: one more than the bytes that were acknowledged at the last look; 0 before the first. */
  readonly #acknowledged: Float64Array;

  /** @param slots sessions are numbers from 0 to `slots - 1` */
  constructor(slots: number) {
    this.#acknowledged = new Float64Array(slots);
  }

  /** Bytes that came and were not read yet, without the FIN. */
  unread(fd: number): number {
    return this.#ask(fd, SIOCINQ);
  }

  /** Bytes that the peer has not acknowledged yet, with the FIN as one. */
  unacknowledged(fd: number): number {
    return this.#ask(fd, SIOCOUTQ);
  }

  /**
   * When the session's bytes last moved: `lastActiveMs`, or later where the kernel went on with what it had taken.
   * While something is unacknowledged, or waits for room, what moves is what more was acknowledged than at the last look
   * (an answered zero-window probe is nothing); the first look counts as one. Once all is, the time of the last data counts.
   * @param reads whether the loop reads what comes, else it waits for room: a loop that was late itself looks here before
   *   it has read, or filled the room that the peer made in time
   */
  lastMovedMs(fd: number, slot: number, lastActiveMs: number, nowMs: number, reads: boolean): number {
    if (reads && this.unread(fd) > 0) return nowMs;
    if (!this.#readInfo(fd)) return lastActiveMs;
    const { view } = this.#memory!;
    if (reads && this.unacknowledged(fd) === 0) {
      return Math.max(lastActiveMs, nowMs - view.getUint32(LAST_DATA_SENT, true));
    }
    const acknowledged = 1 + Number(view.getBigUint64(BYTES_ACKED, true));
    const moved = acknowledged > this.#acknowledged[slot]!;
    this.#acknowledged[slot] = acknowledged;
    return moved ? nowMs : lastActiveMs;
  }

  /** The session is over: the next one in its slot starts anew. */
  forget(slot: number): void {
    this.#acknowledged[slot] = 0;
  }

  #ask(fd: number, request: number): number {
    if (this.#libc === null || fd < 0) return 0;
    const memory = this.#memory!;
    if (this.#libc.ioctl(fd, request, (memory.address + ANSWER) as Pointer) < 0) return 0;
    return memory.view.getInt32(ANSWER, true);
  }

  /** getsockopt(2) of TCP_INFO; false where it does not tell all that is asked for. */
  #readInfo(fd: number): boolean {
    if (this.#libc === null || fd < 0) return false;
    const { address, view } = this.#memory!;
    view.setInt32(LENGTH, TCP_INFO_BYTES, true);
    const length = (address + LENGTH) as Pointer;
    const result = this.#libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, address as Pointer, length);
    return result === 0 && view.getInt32(LENGTH, true) === TCP_INFO_BYTES;
  }
}
