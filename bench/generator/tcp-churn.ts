import type { Pointer } from "bun:ffi";
import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../../src/sys/epoll.ts";
import {
  EAGAIN,
  EINTR,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
  loadLibc,
  MSG_NOSIGNAL,
} from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { BannerEnd } from "./banner.ts";
import type { LoadJob, LoadResult } from "./job.ts";
import { Measurement } from "./measure.ts";
import { isWindow, streamStart, windowAt } from "./payload.ts";
import { Dialer } from "./sockets.ts";

const RECEIVE_BYTES = 128 * 1024;
const PATIENCE_MS = 2000;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES);

interface Visit {
  readonly fd: number;
  readonly start: number;
  readonly startedMs: number;
  banner: BannerEnd | null;
  asked: boolean;
  /** For its connection, until it can ask. */
  waits: boolean;
  received: number;
}

/**
 * A session for each message: connect, (banner,) one echo, reset. The client speaks at once, as `printf | nc` does,
 * and does not wait for the banner. The round trip is the whole visit.
 */
export function runTcpChurn(job: LoadJob): LoadResult {
  return new TcpChurn(job).run();
}

class TcpChurn {
  readonly #job: LoadJob;
  readonly #measurement: Measurement;
  readonly #epoll = new EpollSet();
  readonly #dialer: Dialer;
  readonly #visits = new Map<number, Visit>();
  #count = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#measurement = new Measurement(job);
    this.#dialer = new Dialer(job.host, job.port);
  }

  run(): LoadResult {
    let now = performance.now();
    this.#measurement.begin(now);
    const startMs = now;
    while (!this.#measurement.over(now)) {
      this.#startVisits(now, startMs);
      now = this.#turn(this.#job.rate > 0 ? 0 : 50);
      this.#giveUp(now);
    }
    while (this.#visits.size > 0) {
      now = this.#turn(20);
      this.#giveUp(now);
    }
    this.#epoll.close();
    return this.#measurement.result();
  }

  #startVisits(now: number, startMs: number): void {
    const { connections, rate } = this.#job;
    for (let under = this.#visits.size; under < connections; under++) {
      const dueMs = startMs + ((this.#count + 1) / rate) * 1000;
      if (rate > 0 && dueMs > now) return;
      this.#startVisit(rate > 0 ? dueMs : now);
    }
  }

  #startVisit(startedMs: number): void {
    const number = this.#job.seed * 1_000_003 + this.#count++;
    try {
      const fd = this.#dialer.tcp();
      const banner = this.#job.banner ? new BannerEnd() : null;
      const visit = {
        fd,
        start: streamStart(number),
        startedMs,
        banner,
        asked: false,
        waits: false,
        received: 0,
      };
      this.#visits.set(fd, visit);
      this.#epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
      this.#measurement.sessions = this.#visits.size;
      this.#ask(visit);
    } catch {
      this.#measurement.faults.errors++;
    }
  }

  #turn(waitMs: number): number {
    const count = this.#epoll.wait(waitMs);
    const words = this.#epoll.words;
    for (let at = 0, word = EVENT_FD_WORD; at < count; at++, word += EVENT_STRIDE_WORDS) {
      const visit = this.#visits.get(words[word]!);
      if (visit === undefined) continue;
      if (visit.asked) this.#receive(visit);
      else this.#ask(visit);
    }
    return performance.now();
  }

  /** Speaks at once; where the connection is still on its way, as soon as it is there. */
  #ask(visit: Visit): void {
    const sent = libc.send(visit.fd, windowAt(visit.start, 0), this.#job.size, MSG_NOSIGNAL);
    if (sent === this.#job.size) {
      visit.asked = true;
      if (visit.waits) this.#epoll.set(EPOLL_CTL_MOD, visit.fd, EPOLLIN);
    } else if (sent < 0 && libc.errno() === EAGAIN) {
      visit.waits = true;
      this.#epoll.set(EPOLL_CTL_MOD, visit.fd, EPOLLOUT);
    } else {
      this.#end(visit, "errors");
    }
  }

  #receive(visit: Visit): void {
    const length = libc.recv(visit.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length <= 0) {
      const errno = length < 0 ? libc.errno() : 0;
      if (errno !== EAGAIN && errno !== EINTR) this.#end(visit, "errors");
      return;
    }
    let from = 0;
    if (visit.banner !== null) {
      from = visit.banner.find(buffer.bytes, length);
      if (from === -1) return;
      visit.banner = null;
    }
    const fresh = length - from;
    if (visit.received + fresh > this.#job.size) this.#end(visit, "duplicated");
    else if (!isWindow(buffer.address + from, visit.start, visit.received, fresh))
      this.#end(visit, "corrupted");
    else visit.received += fresh;
    if (visit.received === this.#job.size) this.#end(visit, null);
  }

  #end(visit: Visit, fault: "errors" | "lost" | "duplicated" | "corrupted" | null): void {
    if (!this.#visits.delete(visit.fd)) return;
    libc.close(visit.fd);
    if (fault === null) this.#measurement.echoed((performance.now() - visit.startedMs) * 1000);
    else this.#measurement.faults[fault]++;
  }

  #giveUp(now: number): void {
    for (const visit of this.#visits.values()) {
      if (now - visit.startedMs < PATIENCE_MS) return; // in the order in which they started
      this.#end(visit, "lost");
    }
  }
}
