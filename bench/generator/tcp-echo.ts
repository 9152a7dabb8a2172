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
import { cutMessages } from "./cut.ts";
import { type LoadJob, type LoadResult, PATIENCE_MS } from "./job.ts";
import type { Judged } from "./judge.ts";
import { Measurement } from "./measure.ts";
import { BLOCK_LENGTH, isWindow, sendWindow, streamOf } from "./payload.ts";
import { timesKept } from "./round-trips.ts";
import { Schedule } from "./schedule.ts";
import { Dialer, pendingError } from "./sockets.ts";
import { TcpSession } from "./tcp-session.ts";

const RECEIVE_BYTES = 512 * 1024;
/** An unfinished message, of twice the longest at most, and what was received behind it. */
const SCRATCH_BYTES = RECEIVE_BYTES + 512 * 1024;

/** Sessions that are opened before the first have their banners: a listener's backlog is bounded. */
const OPENING_MAX = 256;
const OPENING_PATIENCE_MS = 10_000;

const CHECK_EVERY_MS = 100;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES);
const scratch = nativeMemory(SCRATCH_BYTES);

/** Messages on lasting TCP sessions, or sessions that say nothing, on one epoll loop. Returns when the job is over. */
export function runTcpEcho(job: LoadJob): LoadResult {
  return new TcpEcho(job).run();
}

class TcpEcho {
  readonly #job: LoadJob;
  readonly #measurement: Measurement;
  readonly #schedule: Schedule | null;
  readonly #dialer: Dialer;
  readonly #epoll = new EpollSet();
  readonly #byDescriptor: (TcpSession | undefined)[] = [];
  readonly #sessions: TcpSession[] = [];
  #started = false;
  #nextCheckMs = 0;
  #openCount = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#measurement = new Measurement(job);
    this.#schedule = job.rate > 0 ? new Schedule(job.rate) : null;
    this.#dialer = new Dialer(job.host, job.port, job.source);
  }

  run(): LoadResult {
    this.#openAll();
    let now = performance.now();
    this.#measurement.begin(now);
    this.#schedule?.begin(now);
    this.#started = true;
    if (this.#job.mode === "echo" && this.#schedule === null) {
      for (const session of this.#sessions) this.#ask(session, this.#job.inFlight, now);
    }
    while (!this.#measurement.over(now)) {
      now = this.#turn(this.#schedule === null ? 50 : this.#schedule.waitMs(now));
      if (this.#schedule !== null) this.#askOnTime(this.#schedule, now);
      else if (now >= this.#nextCheckMs) this.#check(now);
    }
    const left = this.#schedule?.finish(now, (schedule) => this.#askOnTime(schedule, this.#turn(0)));
    this.#measurement.leaveBehind(left ?? 0);
    this.#drain(now);
    for (const session of this.#sessions) this.#finish(session);
    this.#epoll.close();
    return this.#measurement.result();
  }

  /** Nothing more is asked; what is on its way may still come, and what should not come as well. */
  #drain(now: number): void {
    this.#started = false;
    const due = (): boolean =>
      this.#sessions.some(({ closed, asked, tracker }) => !closed && tracker.due(asked));
    while (due() && performance.now() < now + this.#measurement.drainMs) this.#turn(20);
    this.#turn(10);
  }

  #finish(session: TcpSession): void {
    const { sent, asked, tracker } = session;
    this.#measurement.sent += sent;
    this.#measurement.counts.notSent += asked - sent;
    tracker.finish(Math.max(sent, tracker.next));
    if (!session.closed) libc.close(session.fd);
  }

  #openAll(): void {
    const { connections, size, inFlight, rate, firstIdentity, banner } = this.#job;
    const deadline = performance.now() + OPENING_PATIENCE_MS + connections;
    const kept = timesKept(rate, connections, inFlight);
    const pending = (): number => this.#sessions.length - this.#openCount;
    for (let number = 0; number < connections; number++) {
      const fd = this.#dialer.tcp();
      const stream = streamOf(firstIdentity + number, size);
      const session = new TcpSession(fd, stream, this.#job, this.#measurement.counts, kept);
      this.#byDescriptor[fd] = session;
      this.#sessions.push(session);
      this.#epoll.set(EPOLL_CTL_ADD, fd, banner ? EPOLLIN : EPOLLOUT);
      while (pending() >= OPENING_MAX && performance.now() < deadline) this.#turn(50);
    }
    while (pending() > 0 && performance.now() < deadline) this.#turn(50);
    for (const session of this.#sessions) {
      if (!session.open) this.#fail(session, `no ${banner ? "banner" : "connection"} in time`);
    }
    this.#measurement.sessions = this.#sessions.filter((session) => !session.closed).length;
  }

  /** Handles what is there; returns the time. */
  #turn(waitMs: number): number {
    const count = this.#epoll.wait(waitMs);
    const now = performance.now();
    const words = this.#epoll.words;
    for (let at = 0, word = EVENT_FD_WORD; at < count; at++, word += EVENT_STRIDE_WORDS) {
      const session = this.#byDescriptor[words[word]!];
      if (session === undefined || session.closed) continue;
      if (session.waitsToSend) this.#flush(session);
      else if (!session.open && session.banner === null) this.#connected(session);
      else this.#receive(session);
    }
    return now;
  }

  #connected(session: TcpSession): void {
    const error = pendingError(session.fd);
    if (error === 0) this.#opened(session);
    else this.#fail(session, this.#dialer.failure(error));
  }

  #opened(session: TcpSession): void {
    session.open = true;
    this.#openCount++;
    session.answeredMs = performance.now();
    this.#epoll.set(EPOLL_CTL_MOD, session.fd, EPOLLIN);
  }

  #receive(session: TcpSession): void {
    const length = libc.recv(session.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length <= 0) {
      const errno = length < 0 ? libc.errno() : 0;
      if (errno === EAGAIN || errno === EINTR) return;
      if (errno !== 0 && !session.open) this.#fail(session, this.#dialer.failure(errno));
      else this.#fail(session, `the server ${errno === 0 ? "closed" : "reset"} a session`);
      return;
    }
    if (session.banner === null) {
      this.#echoed(session, 0, length);
      return;
    }
    const end = session.banner.find(buffer.bytes, length);
    if (end === -1) return;
    session.banner = null;
    this.#opened(session);
    if (length > end) this.#echoed(session, end, length - end);
  }

  /** Bytes came back. As long as all is right, they are compared as a stream, whatever messages they belong to. */
  #echoed(session: TcpSession, from: number, length: number): void {
    const now = performance.now();
    session.answeredMs = now;
    const right =
      session.partial === null &&
      session.receivedBytes + length <= session.sentBytes &&
      length <= BLOCK_LENGTH &&
      isWindow(buffer.address + from, session.stream, session.receivedBytes, length);
    if (!right) {
      this.#lookAtMessages(session, from, length, now);
      return;
    }
    session.receivedBytes += length;
    const whole = Math.floor(session.receivedBytes / this.#job.size);
    const came = whole - session.tracker.next;
    this.#count(session, session.tracker.next, whole, now);
    session.tracker.next = whole;
    if (came > 0 && this.#schedule === null && this.#started) this.#ask(session, came, now);
  }

  /** Books the answers to messages from `from` on, up to `to`; those that were sent together, together. */
  #count({ asked, sendTimes }: TcpSession, from: number, to: number, now: number): void {
    const oldest = asked - sendTimes.length;
    for (let number = from; number < to; ) {
      const sentMs = sendTimes.get(Math.max(oldest, number));
      let next = number + 1;
      while (next < to && sendTimes.get(next) === sentMs) next++;
      if (number < oldest) this.#measurement.untimed += next - number;
      this.#measurement.echoed(now, sentMs, next - number);
      number = next;
    }
  }

  /** Something was wrong on this session: until a message is whole again, each is looked at by itself. */
  #lookAtMessages(session: TcpSession, from: number, length: number, now: number): void {
    const { tracker, stream, asked, sent } = session;
    const partial = session.cut();
    const together = partial.length + length;
    const waiting = tracker.waiting(asked);
    scratch.bytes.set(partial);
    scratch.bytes.set(buffer.bytes.subarray(from, from + length), partial.length);
    const taken = cutMessages(scratch, together, stream, tracker.next, sent, (judged) => {
      this.#take(session, judged, now);
      return tracker.next;
    });
    session.partial = scratch.bytes.slice(taken, together);
    session.mend();
    // A message that came twice frees no place.
    const free = waiting - tracker.waiting(asked);
    if (free > 0 && this.#schedule === null && this.#started) this.#ask(session, free, now);
  }

  #take(session: TcpSession, { what, number, identity }: Judged, now: number): void {
    const { tracker } = session;
    if (what === "damaged") tracker.corrupt(number);
    else if (what === "own" && tracker.take(number)) this.#count(session, number, number + 1, now);
    else if (what === "foreign")
      this.#measurement.foreign(this.#sessions[identity - this.#job.firstIdentity], number);
  }

  /** Sends `count` messages, in one piece; `sentMs` is when they were due. */
  #ask(session: TcpSession, count: number, sentMs: number): void {
    if (session.closed) return;
    for (let next = 0; next < count; next++) session.sendTimes.set(session.asked + next, sentMs);
    session.asked += count;
    if (!session.waitsToSend) this.#flush(session);
  }

  #flush(session: TcpSession): void {
    const target = session.asked * this.#job.size;
    while (session.sentBytes < target) {
      const length = Math.min(target - session.sentBytes, BLOCK_LENGTH);
      const sent = sendWindow(session.fd, session.stream, session.sentBytes, length, MSG_NOSIGNAL);
      if (sent < 0) {
        const errno = libc.errno();
        if (errno === EAGAIN || errno === EINTR) break;
        this.#fail(session, "the server reset a session");
        return;
      }
      session.sentBytes += sent;
      if (sent < length) break;
    }
    const waits = session.sentBytes < target;
    if (waits === session.waitsToSend) {
      // While sending waits, what comes back must be read, or both sides wait for ever.
      if (waits && !session.closed) this.#receive(session);
      return;
    }
    session.waitsToSend = waits;
    this.#epoll.set(EPOLL_CTL_MOD, session.fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  /** Constant arrival: each message whose time has come is sent, its round trip counted from that time. */
  #askOnTime(schedule: Schedule, now: number): void {
    for (let left = schedule.due(now); left > 0; left--) {
      const session = this.#sessions[schedule.number % this.#sessions.length]!;
      const dueMs = schedule.take();
      if (session.closed || session.asked - session.tracker.next >= session.sendTimes.length) {
        this.#measurement.counts.notSent++; // it should have been: to leave it out would be to look away
      } else {
        this.#measurement.sentAt(now, dueMs);
        this.#ask(session, 1, dueMs);
      }
    }
  }

  /** Gives up on answers that are overdue; the session goes on with new messages. */
  #check(now: number): void {
    this.#nextCheckMs = now + CHECK_EVERY_MS;
    if (this.#job.mode === "idle") return;
    for (const session of this.#sessions) {
      const { tracker, asked, answeredMs, sendTimes } = session;
      if (session.closed || session.waitsToSend || tracker.waiting(asked) <= 0) continue;
      if (now - Math.max(answeredMs, sendTimes.get(tracker.next)) < PATIENCE_MS) continue;
      session.cut(); // where the stream stands is not known any more
      tracker.giveUp(asked);
      session.answeredMs = now;
      this.#ask(session, this.#job.inFlight, now);
    }
  }

  #fail(session: TcpSession, why: string): void {
    if (session.closed) return;
    if (!session.open) this.#openCount++;
    session.closed = true;
    this.#measurement.failed(why);
    libc.close(session.fd);
  }
}
