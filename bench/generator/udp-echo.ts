import type { Pointer } from "bun:ffi";
import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../../src/sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLLIN, loadLibc } from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import { type LoadJob, type LoadResult, PATIENCE_MS } from "./job.ts";
import { judge } from "./judge.ts";
import { Measurement } from "./measure.ts";
import { hasHeader, identityIn, isBody, isWindow, numberIn, sendWindow, streamOf } from "./payload.ts";
import { timesKept } from "./round-trips.ts";
import { Schedule } from "./schedule.ts";
import { Dialer, droppedBy } from "./sockets.ts";
import { UdpSession } from "./udp-session.ts";

const RECEIVE_BYTES = 65_536;

/** What a session says first; no banner is as short. */
const HELLO_BYTES = 8;

const CHECK_EVERY_MS = 20;

/** Many answers may wait on a session that is sent to at its times: a server that stood still sends them all at once. */
const READ_AT_ONCE = 32;

/** New sessions that greet at once: a server's socket buffer is bounded. */
const GREET_AT_ONCE = 128;

/** Sockets that are kept open. Sessions beyond them are opened and left to themselves: the server keeps them as long. */
const SOCKETS_MAX = 10_000;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES);

/** Datagrams on lasting UDP sessions, on one epoll loop. Returns when the job is over. */
export function runUdpEcho(job: LoadJob): LoadResult {
  return new UdpEcho(job).run();
}

class UdpEcho {
  readonly #job: LoadJob;
  readonly #numbered: boolean;
  readonly #measurement: Measurement;
  readonly #schedule: Schedule | null;
  /** Answers read of one session in a row. */
  readonly #readAtOnce: number;
  readonly #epoll = new EpollSet();
  readonly #byDescriptor: (UdpSession | undefined)[] = [];
  readonly #sessions: UdpSession[] = [];
  #asking = true;
  #nextCheckMs = 0;
  #cursor = 0;
  /** Messages that the kernel did not take, to be sent when it does. */
  #owed = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#numbered = hasHeader(job.size);
    this.#measurement = new Measurement(job);
    this.#schedule = job.rate > 0 ? new Schedule(job.rate) : null;
    this.#readAtOnce = job.rate > 0 ? READ_AT_ONCE : 1;
  }

  run(): LoadResult {
    this.#openAll();
    let now = performance.now();
    this.#measurement.begin(now);
    this.#schedule?.begin(now);
    if (this.#schedule === null && this.#job.mode === "echo") {
      for (const session of this.#sessions) for (let n = 0; n < session.window; n++) this.#ask(session, now);
    }
    while (!this.#measurement.over(now)) {
      now = this.#turn(this.#schedule === null ? 20 : this.#schedule.waitMs(now));
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

  /** Nothing more is sent; what is on its way may still come, and what should not come as well. */
  #drain(now: number): void {
    this.#asking = false;
    const due = (): boolean => this.#sessions.some(({ asked, tracker }) => tracker.due(asked));
    while (due() && performance.now() < now + this.#measurement.drainMs) this.#turn(20);
    this.#turn(10);
  }

  #finish({ fd, asked, tracker }: UdpSession): void {
    tracker.finish(asked);
    this.#measurement.sent += asked;
    this.#measurement.overflowed += droppedBy(fd);
    libc.close(fd);
  }

  /** Opens the sockets; each says one word, so that banners are out of the way before anything is counted. */
  #openAll(): void {
    const { connections, inFlight, size, rate, firstIdentity } = this.#job;
    const dialer = new Dialer(this.#job.host, this.#job.port, this.#job.source);
    const lasting = Math.min(connections, SOCKETS_MAX);
    for (let number = 0; number < lasting; number++) {
      const window = Math.floor(inFlight / lasting) + (number < inFlight % lasting ? 1 : 0);
      const session = new UdpSession(
        dialer.udp(),
        streamOf(firstIdentity + number, size),
        window,
        this.#measurement.counts,
        timesKept(rate, lasting, window),
      );
      this.#sessions.push(session);
      this.#byDescriptor[session.fd] = session;
    }
    for (let from = 0; from < lasting; from += GREET_AT_ONCE) {
      this.#greet(this.#sessions.slice(from, from + GREET_AT_ONCE).map(({ fd }) => fd));
    }
    for (let left = connections - lasting, from = 0; left > 0; left -= GREET_AT_ONCE) {
      from = this.#leaveSessions(dialer, from, Math.min(left, GREET_AT_ONCE));
    }
    for (const { fd } of this.#sessions) this.#epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    this.#measurement.sessions = connections;
  }

  #greet(fds: readonly number[]): void {
    const hello = streamOf(0, HELLO_BYTES);
    for (const fd of fds) sendWindow(fd, hello, 0, HELLO_BYTES, 0);
    const silent = unanswered(new Set(fds)).size;
    for (let session = 0; session < silent; session++)
      this.#measurement.failed("a new session was not answered");
  }

  /** Opens `count` sessions from port number `from` on and closes their sockets; returns the next port number. */
  #leaveSessions(dialer: Dialer, from: number, count: number): number {
    const opened: number[] = [];
    let number = from;
    for (; opened.length < count && number < from + 2 * count; number++) {
      try {
        opened.push(dialer.udpFromLoopback(number));
      } catch {
        // Someone else has that port: the next will do.
      }
    }
    this.#greet(opened);
    for (const fd of opened) libc.close(fd);
    return number;
  }

  #turn(waitMs: number): number {
    const count = this.#epoll.wait(waitMs);
    const now = performance.now();
    const words = this.#epoll.words;
    for (let at = 0, word = EVENT_FD_WORD; at < count; at++, word += EVENT_STRIDE_WORDS) {
      const session = this.#byDescriptor[words[word]!]!;
      for (let left = this.#readAtOnce; left > 0 && this.#receive(session, now); left--);
    }
    return now;
  }

  /** Whether there was an answer to read. */
  #receive(session: UdpSession, now: number): boolean {
    const length = libc.recv(session.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length < 0) return false; // nothing there, or a refusal by ICMP: what it cost counts as lost
    session.answeredMs = now;
    const { tracker } = session;
    const number = tracker.next;
    if (length === this.#job.size && number < session.asked && this.#isMessage(session, number)) {
      tracker.next++;
      this.#count(session, number);
      if (this.#schedule === null && this.#asking) this.#ask(this.#after(session), now);
    } else {
      this.#receiveOther(session, length, now);
    }
    return true;
  }

  #isMessage({ stream }: UdpSession, number: number): boolean {
    if (!this.#numbered) return isWindow(buffer.address, stream, number * stream.size, stream.size);
    return (
      numberIn(buffer.view, 0) === number &&
      identityIn(buffer.view, 0) === stream.identity &&
      isBody(buffer.address, stream, number)
    );
  }

  /** Not the expected message: another one, one of another session, or damage. */
  #receiveOther(session: UdpSession, length: number, now: number): void {
    const { tracker, asked } = session;
    const waiting = tracker.waiting(asked);
    const { what, number, identity } = judge(buffer, 0, length, session.stream, tracker.next, asked);
    if (what === "damaged") tracker.corrupt(number);
    else if (what === "own" && tracker.take(number)) this.#count(session, number);
    else if (what === "foreign")
      this.#measurement.foreign(this.#sessions[identity - this.#job.firstIdentity], number);
    if (this.#schedule !== null || !this.#asking) return;
    // A duplicate frees no place; a gap frees one for each answer that will not come any more.
    for (let free = waiting - tracker.waiting(asked); free > 0; free--) this.#ask(this.#after(session), now);
  }

  #count(session: UdpSession, number: number): void {
    const { asked, sendTimes } = session;
    const now = performance.now();
    const oldest = asked - sendTimes.length;
    if (number >= oldest) this.#measurement.echoed(now, sendTimes.get(number), 1);
    else {
      this.#measurement.untimed++;
      this.#measurement.echoed(now, sendTimes.get(oldest), 1);
    }
  }

  /** Whose turn it is when this one has its answer: all take turns where there are more sessions than messages. */
  #after(session: UdpSession): UdpSession {
    if (this.#sessions.length <= this.#job.inFlight) return session;
    this.#cursor = (this.#cursor + 1) % this.#sessions.length;
    return this.#sessions[this.#cursor]!;
  }

  #ask(session: UdpSession, now: number): void {
    if (!this.#send(session, now)) this.#owed++;
  }

  /** Sends the next message of a session; false where the kernel did not take it. */
  #send(session: UdpSession, dueMs: number): boolean {
    const { stream, asked } = session;
    const position = asked * stream.size;
    // The first try fails where a bounce waits to be told, and clears it.
    if (
      sendWindow(session.fd, stream, position, stream.size, 0) < 0 &&
      sendWindow(session.fd, stream, position, stream.size, 0) < 0
    )
      return false;
    session.sendTimes.set(asked, dueMs);
    session.asked++;
    return true;
  }

  /** Constant arrival: each message whose time has come is sent, its round trip counted from that time. */
  #askOnTime(schedule: Schedule, now: number): void {
    for (let left = schedule.due(now); left > 0; left--) {
      const session = this.#sessions[schedule.number % this.#sessions.length]!;
      const dueMs = schedule.take();
      if (this.#send(session, dueMs)) this.#measurement.sentAt(now, dueMs);
      else this.#measurement.counts.notSent++;
    }
  }

  /** Gives up on answers that are overdue, and sends what is owed: the load goes on. */
  #check(now: number): void {
    this.#nextCheckMs = now + CHECK_EVERY_MS;
    for (let owed = this.#owed; owed > 0; owed--) {
      this.#owed--;
      this.#ask(this.#sessions[owed % this.#sessions.length]!, now);
    }
    for (const session of this.#sessions) {
      const { tracker, asked } = session;
      const free = tracker.waiting(asked);
      if (free <= 0) continue;
      const sentMs = session.sendTimes.get(tracker.next);
      if (now - Math.max(sentMs, session.answeredMs) < PATIENCE_MS) continue;
      tracker.giveUp(asked);
      for (let n = 0; n < free; n++) this.#ask(this.#after(session), now);
    }
  }
}

/** Waits for the echo of each hello, which comes behind the banner if there is one; returns whose did not come. */
function unanswered(waiting: Set<number>): Set<number> {
  const end = performance.now() + PATIENCE_MS;
  while (waiting.size > 0 && performance.now() < end) {
    for (const fd of waiting) {
      let length: number;
      do length = libc.recv(fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
      while (length >= 0 && length !== HELLO_BYTES);
      if (length === HELLO_BYTES) waiting.delete(fd);
    }
  }
  return waiting;
}
