import type { Pointer } from "bun:ffi";
import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../../src/sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLLIN, loadLibc } from "../../src/sys/libc.ts";
import { nativeMemory } from "../../src/sys/memory.ts";
import type { LoadJob, LoadResult } from "./job.ts";
import { Measurement } from "./measure.ts";
import { streamStart, windowAt } from "./payload.ts";
import { SendTimes } from "./round-trips.ts";
import { Dialer } from "./sockets.ts";
import { MessageTracker } from "./tracker.ts";

const RECEIVE_BYTES = 65_536;

/** What a session says first; no banner is as short. */
const HELLO_BYTES = 8;

/** An answer that is not there after so long is not waited for: its place is free for another. */
const ANSWER_PATIENCE_MS = 2000;
const CHECK_EVERY_MS = 20;
const BACKLOG_MAX = 4096;

/** New sessions that greet at once: a server's socket buffer is bounded. */
const GREET_AT_ONCE = 128;

/** Sockets that are kept open. Sessions beyond them are opened and left to themselves: the server keeps them as long. */
const SOCKETS_MAX = 10_000;

/** A session may be asked again while an answer of it is late. */
const IN_FLIGHT_MIN = 16;

const libc = loadLibc();
const buffer = nativeMemory(RECEIVE_BYTES);

class Session {
  asked = 0;
  answeredMs = 0;

  constructor(
    readonly fd: number,
    readonly start: number,
    readonly window: number,
    readonly tracker: MessageTracker,
    readonly sendTimes: SendTimes,
  ) {}
}

/** Datagrams on lasting UDP sessions, on one epoll loop. Returns when the job is over. */
export function runUdpEcho(job: LoadJob): LoadResult {
  return new UdpEcho(job).run();
}

class UdpEcho {
  readonly #job: LoadJob;
  readonly #measurement: Measurement;
  readonly #epoll = new EpollSet();
  readonly #byDescriptor: (Session | undefined)[] = [];
  readonly #sessions: Session[] = [];
  #asking = true;
  #nextCheckMs = 0;
  #scheduled = 0;
  #cursor = 0;
  #startMs = 0;

  constructor(job: LoadJob) {
    this.#job = job;
    this.#measurement = new Measurement(job);
  }

  run(): LoadResult {
    this.#openAll();
    this.#startMs = performance.now();
    this.#measurement.begin(this.#startMs);
    if (this.#job.rate === 0 && this.#job.mode === "echo") {
      for (const session of this.#sessions)
        for (let n = 0; n < session.window; n++) this.#ask(session, this.#startMs);
    }
    let now = this.#startMs;
    while (!this.#measurement.over(now)) {
      now = this.#turn(this.#job.rate > 0 ? 0 : 20);
      if (this.#job.rate > 0) this.#askOnTime(now);
      if (now >= this.#nextCheckMs) this.#check(now);
    }
    this.#drain(now);
    for (const session of this.#sessions) {
      session.tracker.finish(session.asked);
      libc.close(session.fd);
    }
    this.#epoll.close();
    return this.#measurement.result();
  }

  /** Nothing more is sent; what is on its way may still come, and what should not come as well. */
  #drain(now: number): void {
    this.#asking = false;
    const due = (): boolean => this.#sessions.some(({ asked, tracker }) => tracker.due(asked));
    while (due() && performance.now() < now + ANSWER_PATIENCE_MS) this.#turn(20);
    this.#turn(10);
  }

  /** Opens the sockets; each says one word, so that banners are out of the way before anything is counted. */
  #openAll(): void {
    const { connections, inFlight, size, rate, seed } = this.#job;
    const dialer = new Dialer(this.#job.host, this.#job.port);
    const lasting = Math.min(connections, SOCKETS_MAX);
    for (let number = 0; number < lasting; number++) {
      const start = streamStart(seed * 1_000_003 + number);
      const window = Math.floor(inFlight / lasting) + (number < inFlight % lasting ? 1 : 0);
      const tracker = new MessageTracker(start, size, this.#measurement.faults);
      const session = new Session(
        dialer.udp(),
        start,
        window,
        tracker,
        new SendTimes(rate > 0 ? BACKLOG_MAX : Math.max(window, IN_FLIGHT_MIN)),
      );
      this.#sessions.push(session);
      this.#byDescriptor[session.fd] = session;
    }
    for (let from = 0; from < lasting; from += GREET_AT_ONCE) this.#greet(from, from + GREET_AT_ONCE);
    for (let left = connections - lasting, from = 0; left > 0; left -= GREET_AT_ONCE) {
      from = this.#leaveSessions(dialer, from, Math.min(left, GREET_AT_ONCE));
    }
    for (const { fd } of this.#sessions) this.#epoll.set(EPOLL_CTL_ADD, fd, EPOLLIN);
    this.#measurement.sessions = connections;
  }

  #greet(from: number, to: number): void {
    const fds = this.#sessions.slice(from, to).map(({ fd, start }) => {
      libc.send(fd, windowAt(start, 0), HELLO_BYTES, 0);
      return fd;
    });
    this.#measurement.faults.errors += unanswered(new Set(fds)).size;
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
    for (const fd of opened) libc.send(fd, windowAt(0, 0), HELLO_BYTES, 0);
    this.#measurement.faults.errors += unanswered(new Set(opened)).size;
    for (const fd of opened) libc.close(fd);
    return number;
  }

  #turn(waitMs: number): number {
    const count = this.#epoll.wait(waitMs);
    const now = performance.now();
    const words = this.#epoll.words;
    for (let at = 0, word = EVENT_FD_WORD; at < count; at++, word += EVENT_STRIDE_WORDS) {
      this.#receive(this.#byDescriptor[words[word]!]!, now);
    }
    return now;
  }

  #receive(session: Session, now: number): void {
    const length = libc.recv(session.fd, buffer.address as Pointer, RECEIVE_BYTES, 0);
    if (length < 0) return; // nothing there, or a refusal by ICMP: what it cost counts as lost
    const expected = session.tracker.next;
    const message = session.tracker.take(buffer.address, length, session.asked);
    session.answeredMs = now;
    if (message !== -1) this.#measurement.echoed((performance.now() - session.sendTimes.get(message)) * 1000);
    if (this.#job.rate > 0 || !this.#asking) return;
    // A duplicate frees no place; a gap frees one for each answer that will not come any more.
    for (let free = session.tracker.next - expected; free > 0; free--) this.#ask(this.#after(session), now);
  }

  /** Whose turn it is when this one has its answer: all take turns where there are more sessions than messages. */
  #after(session: Session): Session {
    if (this.#sessions.length <= this.#job.inFlight) return session;
    this.#cursor = (this.#cursor + 1) % this.#sessions.length;
    return this.#sessions[this.#cursor]!;
  }

  #ask(session: Session, now: number): void {
    const { size } = this.#job;
    session.sendTimes.set(session.asked, now);
    // A datagram that the kernel does not take is one that gets no answer: it counts as lost.
    libc.send(session.fd, windowAt(session.start, session.asked * size), size, 0);
    session.asked++;
  }

  #askOnTime(now: number): void {
    const { rate } = this.#job;
    const due = Math.floor(((now - this.#startMs) / 1000) * rate);
    for (; this.#scheduled < due; this.#scheduled++) {
      const session = this.#sessions[this.#scheduled % this.#sessions.length]!;
      this.#ask(session, this.#startMs + ((this.#scheduled + 1) / rate) * 1000);
    }
  }

  #check(now: number): void {
    this.#nextCheckMs = now + CHECK_EVERY_MS;
    for (const session of this.#sessions) {
      if (session.tracker.next >= session.asked) continue;
      const sentMs = session.sendTimes.get(session.tracker.next);
      if (now - Math.max(sentMs, session.answeredMs) < ANSWER_PATIENCE_MS) continue;
      const before = session.tracker.next;
      session.tracker.giveUp(session.asked);
      if (this.#job.rate === 0)
        for (let n = before; n < session.tracker.next; n++) this.#ask(this.#after(session), now);
    }
  }
}

/** Waits for the echo of each hello, which comes behind the banner if there is one; returns whose did not come. */
function unanswered(waiting: Set<number>): Set<number> {
  const end = performance.now() + ANSWER_PATIENCE_MS;
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
