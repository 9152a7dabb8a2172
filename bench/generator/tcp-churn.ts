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
import { type Counts, type LoadJob, type LoadResult, PATIENCE_MS } from "./job.ts";
import { judge } from "./judge.ts";
import { Measurement } from "./measure.ts";
import { IDENTITIES, isWindow, type Stream, sendWindow, streamOf } from "./payload.ts";
import { Schedule } from "./schedule.ts";
import { Dialer } from "./sockets.ts";

const RECEIVE_BYTES = 128 * 1024;

/** A visit that is not over after so long is lost: it must end one day, and so must the run. */
const LOST_MS = 5 * PATIENCE_MS;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES);

interface Visit {
  readonly fd: number;
  readonly stream: Stream;
  /** When it started, or should have. */
  readonly dueMs: number;
  banner: BannerEnd | null;
  asked: boolean;
  /** For its connection, until it can ask. */
  waits: boolean;
  received: number;
}

/** How a visit can end. */
type Fault = keyof Pick<Counts, "errors" | "lost" | "duplicated" | "corrupted" | "foreign">;

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
  readonly #schedule: Schedule | null;
  readonly #epoll = new EpollSet();
  readonly #dialer: Dialer;
  readonly #visits = new Map<number, Visit>();
  #count = 0;
  /** Since when there is a place for another visit. */
  #freeSinceMs = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#measurement = new Measurement(job);
    this.#schedule = job.rate > 0 ? new Schedule(job.rate) : null;
    this.#dialer = new Dialer(job.host, job.port, job.source);
  }

  run(): LoadResult {
    let now = performance.now();
    this.#measurement.begin(now);
    this.#schedule?.begin(now);
    while (!this.#measurement.over(now)) {
      this.#startVisits(now);
      now = this.#turn(this.#schedule === null ? 50 : Math.min(50, this.#schedule.waitMs(now)));
      this.#giveUp(now);
    }
    const left = this.#schedule?.finish(now, () => this.#startVisits(this.#turn(0)));
    // Where every place is taken, it is the server that is slow.
    if (this.#visits.size < this.#job.connections) this.#measurement.leaveBehind(left ?? 0);
    else this.#measurement.counts.notSent += left ?? 0;
    while (this.#visits.size > 0) {
      now = this.#turn(20);
      this.#giveUp(now);
    }
    this.#epoll.close();
    return this.#measurement.result();
  }

  #startVisits(now: number): void {
    const places = this.#job.connections - this.#visits.size;
    if (this.#schedule === null) for (let left = places; left > 0; left--) this.#startVisit(now);
    else this.#startOnTime(this.#schedule, now, places);
  }

  #startOnTime(schedule: Schedule, now: number, places: number): void {
    for (let left = Math.min(places, schedule.due(now)); left > 0; left--) {
      const dueMs = schedule.take();
      // Where every place was taken, it is the server that was late, and not the load.
      this.#measurement.sentAt(now, Math.max(dueMs, this.#freeSinceMs));
      this.#startVisit(dueMs);
    }
  }

  #startVisit(dueMs: number): void {
    const identity = (this.#job.firstIdentity + this.#count++) % IDENTITIES;
    try {
      const fd = this.#dialer.tcp();
      const visit: Visit = {
        fd,
        stream: streamOf(identity, this.#job.size),
        dueMs,
        banner: this.#job.banner ? new BannerEnd() : null,
        asked: false,
        waits: false,
        received: 0,
      };
      this.#visits.set(fd, visit);
      this.#epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
      this.#measurement.sessions = this.#visits.size;
      this.#ask(visit);
    } catch (error) {
      this.#measurement.failed(error instanceof Error ? error.message : String(error));
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
    const sent = sendWindow(visit.fd, visit.stream, 0, this.#job.size, MSG_NOSIGNAL);
    const errno = sent < 0 ? libc.errno() : 0;
    if (sent === this.#job.size) {
      visit.asked = true;
      this.#measurement.sent++;
      if (visit.waits) this.#epoll.set(EPOLL_CTL_MOD, visit.fd, EPOLLIN);
    } else if (errno === EAGAIN) {
      visit.waits = true;
      this.#epoll.set(EPOLL_CTL_MOD, visit.fd, EPOLLOUT);
    } else {
      this.#end(visit, "errors", this.#dialer.failure(errno));
    }
  }

  #receive(visit: Visit): void {
    const length = libc.recv(visit.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length <= 0) {
      const errno = length < 0 ? libc.errno() : 0;
      if (errno === EAGAIN || errno === EINTR) return;
      this.#end(visit, "errors", `the server ${errno === 0 ? "closed" : "reset"} a session before its echo`);
      return;
    }
    let from = 0;
    if (visit.banner !== null) {
      from = visit.banner.find(buffer.bytes, length);
      if (from === -1) return;
      visit.banner = null;
    }
    this.#compare(visit, from, length - from);
  }

  #compare(visit: Visit, from: number, length: number): void {
    const { stream, received } = visit;
    if (received + length > this.#job.size) this.#end(visit, "duplicated");
    else if (isWindow(buffer.address + from, stream, received, length)) visit.received += length;
    else {
      const foreign = received === 0 && judge(buffer, from, length, stream, 0, 1).what === "foreign";
      this.#end(visit, foreign ? "foreign" : "corrupted");
    }
    if (visit.received === this.#job.size) this.#end(visit, null);
  }

  #end(visit: Visit, fault: Fault | null, why = ""): void {
    if (!this.#visits.delete(visit.fd)) return;
    libc.close(visit.fd);
    const now = performance.now();
    if (this.#visits.size === this.#job.connections - 1) this.#freeSinceMs = now;
    if (fault === null) this.#measurement.echoed(now, visit.dueMs, 1);
    else if (fault === "errors") this.#measurement.failed(why);
    else this.#measurement.counts[fault]++;
  }

  #giveUp(now: number): void {
    for (const visit of this.#visits.values()) {
      if (now - visit.dueMs < LOST_MS) return; // in the order in which they were due
      this.#end(visit, "lost");
    }
  }
}
