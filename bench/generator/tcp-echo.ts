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
import type { LoadJob, LoadResult } from "./job.ts";
import { Measurement } from "./measure.ts";
import { BLOCK_LENGTH, isWindow, streamStart, windowAt, windowBytes } from "./payload.ts";
import { SendTimes } from "./round-trips.ts";
import { Dialer } from "./sockets.ts";
import { Session } from "./tcp-session.ts";
import { MessageTracker } from "./tracker.ts";

const RECEIVE_BYTES = 512 * 1024;

/** Sessions that are opened before the first have their banners: a listener's backlog is bounded. */
const OPENING_MAX = 256;
const OPENING_PATIENCE_MS = 10_000;

/** A session whose answer is not there after so long has lost it. */
const ANSWER_PATIENCE_MS = 2000;
const CHECK_EVERY_MS = 100;

/** Messages that may wait on a session when they are sent at their times, answers or not. */
const BACKLOG_MAX = 4096;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES + 128 * 1024);

/** Messages on lasting TCP sessions, or sessions that say nothing, on one epoll loop. Returns when the job is over. */
export function runTcpEcho(job: LoadJob): LoadResult {
  return new TcpEcho(job).run();
}

class TcpEcho {
  readonly #job: LoadJob;
  readonly #measurement: Measurement;
  readonly #epoll = new EpollSet();
  readonly #byDescriptor: (Session | undefined)[] = [];
  readonly #sessions: Session[] = [];
  #started = false;
  #nextCheckMs = 0;
  /** Messages sent at their times: the number and the time of the next. */
  #scheduled = 0;
  #scheduleStartMs = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#measurement = new Measurement(job);
  }

  run(): LoadResult {
    this.#openAll();
    const begin = performance.now();
    this.#measurement.begin(begin);
    this.#started = true;
    this.#scheduleStartMs = begin;
    if (this.#job.mode === "echo" && this.#job.rate === 0) {
      for (const session of this.#sessions) this.#ask(session, this.#job.inFlight, begin);
    }
    let now = begin;
    while (!this.#measurement.over(now)) {
      now = this.#turn(this.#job.rate > 0 ? 0 : 50);
      if (this.#job.rate > 0) this.#askOnTime(now);
      if (now >= this.#nextCheckMs) this.#check(now);
    }
    this.#drain(now);
    for (const session of this.#sessions) {
      session.tracker.finish(session.asked);
      if (!session.closed) libc.close(session.fd);
    }
    this.#epoll.close();
    return this.#measurement.result();
  }

  /** Nothing more is sent; what is on its way may still come, and what should not come as well. */
  #drain(now: number): void {
    this.#started = false;
    const due = (): boolean =>
      this.#sessions.some(({ closed, asked, tracker }) => !closed && tracker.due(asked));
    while (due() && performance.now() < now + ANSWER_PATIENCE_MS) this.#turn(20);
    this.#turn(10);
  }

  #openAll(): void {
    const { host, port, connections, seed, size, inFlight, rate } = this.#job;
    const dialer = new Dialer(host, port);
    const deadline = performance.now() + OPENING_PATIENCE_MS + connections;
    for (let number = 0; number < connections; number++) {
      const session = seed * 1_000_003 + number;
      const tracker = new MessageTracker(streamStart(session), size, this.#measurement.faults);
      const fd = dialer.tcp();
      const opened = new Session(
        fd,
        session,
        this.#job,
        tracker,
        new SendTimes(rate > 0 ? BACKLOG_MAX : inFlight),
      );
      this.#byDescriptor[fd] = opened;
      this.#sessions.push(opened);
      this.#epoll.set(EPOLL_CTL_ADD, fd, this.#job.banner ? EPOLLIN : EPOLLOUT);
      while (this.#pending() >= OPENING_MAX && performance.now() < deadline) this.#turn(50);
    }
    while (this.#pending() > 0 && performance.now() < deadline) this.#turn(50);
    for (const session of this.#sessions) if (!session.open) this.#fail(session);
    this.#measurement.sessions = this.#sessions.filter((session) => !session.closed).length;
  }

  #openCount = 0;

  #pending(): number {
    return this.#sessions.length - this.#openCount;
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
      else if (!session.open && session.banner === null) this.#opened(session);
      else this.#receive(session);
    }
    return now;
  }

  #opened(session: Session): void {
    session.open = true;
    this.#openCount++;
    session.answeredMs = performance.now();
    this.#epoll.set(EPOLL_CTL_MOD, session.fd, EPOLLIN);
  }

  #receive(session: Session): void {
    const length = libc.recv(session.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length <= 0) {
      const errno = length < 0 ? libc.errno() : 0;
      if (length < 0 && (errno === EAGAIN || errno === EINTR)) return;
      this.#fail(session);
      return;
    }
    if (session.banner === null) {
      this.#echoed(session, buffer.address, length);
      return;
    }
    const end = session.banner.find(buffer.bytes, length);
    if (end === -1) return;
    session.banner = null;
    this.#opened(session);
    if (length > end) this.#echoed(session, buffer.address + end, length - end);
  }

  /** Bytes came back. As long as all is right, they are compared as a stream, whatever messages they belong to. */
  #echoed(session: Session, address: number, length: number): void {
    const now = performance.now();
    session.answeredMs = now;
    const right =
      session.partial === null &&
      session.receivedBytes + length <= session.sentBytes &&
      length <= BLOCK_LENGTH &&
      isWindow(address, session.start, session.receivedBytes, length);
    if (!right) {
      this.#lookAtMessages(session, address, length, now);
      return;
    }
    session.receivedBytes += length;
    const whole = Math.floor(session.receivedBytes / this.#job.size);
    const came = whole - session.tracker.next;
    for (; session.tracker.next < whole; session.tracker.next++)
      this.#count(session, session.tracker.next, now);
    if (came > 0) this.#askAgain(session, came, now);
  }

  #count(session: Session, message: number, now: number): void {
    this.#measurement.echoed((now - session.sendTimes.get(message)) * 1000);
  }

  /** Something was wrong on this session: from now on it is cut into messages, and each is looked for. */
  #lookAtMessages(session: Session, address: number, length: number, now: number): void {
    const { size } = this.#job;
    if (session.partial === null) session.partial = this.#unfinished(session);
    const bytes = new Uint8Array(session.partial.length + length);
    bytes.set(session.partial);
    bytes.set(
      buffer.bytes.subarray(address - buffer.address, address - buffer.address + length),
      session.partial.length,
    );
    let at = 0;
    const before = session.tracker.next;
    const scratch = buffer.address + RECEIVE_BYTES;
    for (; at + size <= bytes.length; at += size) {
      buffer.bytes.set(bytes.subarray(at, at + size), RECEIVE_BYTES);
      const message = session.tracker.take(scratch, size, session.asked);
      if (message !== -1) this.#count(session, message, now);
    }
    session.partial = bytes.slice(at);
    // A message that came twice frees no place.
    this.#askAgain(session, session.tracker.next - before, now);
  }

  /** The right bytes of a message whose rest is still to come: they are in the block. */
  #unfinished(session: Session): Uint8Array {
    const length = session.receivedBytes % this.#job.size;
    const from = session.receivedBytes - length;
    return windowBytes(session.start, from, length);
  }

  #askAgain(session: Session, count: number, now: number): void {
    if (this.#started && this.#job.rate === 0) this.#ask(session, count, now);
  }

  /** Sends `count` messages, in one piece. */
  #ask(session: Session, count: number, now: number): void {
    if (session.closed || count <= 0) return;
    for (let next = 0; next < count; next++) session.sendTimes.set(session.asked + next, now);
    session.asked += count;
    if (!session.waitsToSend) this.#flush(session);
  }

  #flush(session: Session): void {
    const target = session.asked * this.#job.size;
    while (session.sentBytes < target) {
      const length = Math.min(target - session.sentBytes, BLOCK_LENGTH);
      const sent = libc.send(session.fd, windowAt(session.start, session.sentBytes), length, MSG_NOSIGNAL);
      if (sent < 0) {
        const errno = libc.errno();
        if (errno !== EAGAIN && errno !== EINTR) {
          this.#fail(session);
          return;
        }
        break;
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
  #askOnTime(now: number): void {
    const { rate } = this.#job;
    const due = Math.floor(((now - this.#scheduleStartMs) / 1000) * rate);
    for (; this.#scheduled < due; this.#scheduled++) {
      const session = this.#sessions[this.#scheduled % this.#sessions.length]!;
      if (session.closed || session.asked - session.tracker.next >= BACKLOG_MAX - 1) {
        this.#measurement.faults.lost++; // it should have been sent: to leave it out would be to look away
        continue;
      }
      this.#ask(session, 1, this.#scheduleStartMs + ((this.#scheduled + 1) / rate) * 1000);
    }
  }

  /** Gives up on answers that are overdue; the session goes on with new messages. */
  #check(now: number): void {
    this.#nextCheckMs = now + CHECK_EVERY_MS;
    if (this.#job.mode === "idle") return;
    for (const session of this.#sessions) {
      const waiting = session.asked - session.tracker.next;
      if (session.closed || waiting === 0 || session.waitsToSend) continue;
      if (
        now - Math.max(session.answeredMs, session.sendTimes.get(session.tracker.next)) <
        ANSWER_PATIENCE_MS
      )
        continue;
      session.tracker.giveUp(session.asked);
      session.partial ??= new Uint8Array(0); // where the stream stands is not known any more
      session.answeredMs = now;
      this.#askAgain(session, this.#job.inFlight, now);
    }
  }

  #fail(session: Session): void {
    if (session.closed) return;
    if (!session.open) this.#openCount++;
    session.closed = true;
    this.#measurement.faults.errors++;
    session.tracker.giveUp(session.asked);
    libc.close(session.fd);
  }
}
