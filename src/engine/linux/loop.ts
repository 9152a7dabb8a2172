import type { Pointer } from "bun:ffi";
import { Clock } from "../../state/clock.ts";
import { COUNTER, countersOf } from "../../state/counters.ts";
import { OTHER_DESCRIPTORS } from "../../state/descriptors.ts";
import { COMMAND, CONTROL } from "../../state/shared.ts";
import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../../sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLLIN, loadLibc } from "../../sys/libc.ts";
import { nativeMemory } from "../../sys/memory.ts";
import type { BoundSocket } from "../bind.ts";
import type { LoopStart, TcpEvents } from "../loop.ts";
import { ECHOING, isSession, LISTENER, NONE, PROBE, UDP, WAKE } from "./kinds.ts";
import { PROBE_DESCRIPTORS } from "./probes.ts";
import { LinuxTcp } from "./tcp.ts";
import { LinuxUdp } from "./udp.ts";

/** Time between two looks at deadlines while there are sessions, and while there are none. */
const TICK_MS = 100;
const TICK_MS_IDLE = 1000;

/** Arguments that a Linux loop is started with: sockets bound by the control plane, and an eventfd that wakes it. */
export interface LinuxLoopStart extends LoopStart {
  readonly tcp: readonly BoundSocket[];
  readonly udp: readonly BoundSocket[];
  readonly wake: number;
  /** Descriptors are below this (RLIMIT_NOFILE). */
  readonly descriptorsMax: number;
}

/** Events of a loop, for the thread that runs it. */
export interface LinuxLoopEvents extends TcpEvents {
  /** The loop serves. */
  readonly onRunning: () => void;
  /** The loop drains and has left its listeners, which can be closed now. */
  readonly onListenersLeft: () => void;
}

/**
 * One level-triggered epoll loop for all TCP and UDP sessions of a Worker. It blocks its thread until it is told to
 * stop, by the loop's command word in shared memory and a write to its eventfd. A fault is thrown, after every
 * session was closed.
 */
export function runLinuxLoop(start: LinuxLoopStart, events: LinuxLoopEvents): void {
  const epoll = new EpollSet();
  let loop: LinuxLoop;
  try {
    loop = new LinuxLoop(start, events, epoll);
  } catch (fault) {
    epoll.close();
    throw fault;
  }
  try {
    events.onRunning();
    loop.run();
    loop.close("cut");
  } catch (fault) {
    loop.close("worker_died");
    throw fault;
  }
}

class LinuxLoop {
  readonly #start: LinuxLoopStart;
  readonly #events: LinuxLoopEvents;
  readonly #clock = new Clock();
  readonly #epoll: EpollSet;
  readonly #kinds: Uint8Array;
  readonly #tcp: LinuxTcp | null;
  readonly #udp: LinuxUdp | null;
  readonly #counters: Float64Array;
  readonly #control: Int32Array;
  readonly #wakeBuffer = nativeMemory(8);
  #command: number = COMMAND.run;
  #nextTickMs: number;

  constructor(start: LinuxLoopStart, events: LinuxLoopEvents, epoll: EpollSet) {
    this.#start = start;
    this.#epoll = epoll;
    this.#events = events;
    this.#counters = countersOf(start.tables.counters, start.index);
    this.#control = new Int32Array(start.tables.control);
    const slots = Math.min(start.descriptorsMax, start.settings.maxTcpSessions + OTHER_DESCRIPTORS);
    this.#kinds = new Uint8Array(slots + PROBE_DESCRIPTORS);
    this.#tcp =
      start.tcp.length === 0
        ? null
        : new LinuxTcp(start, this.#clock, this.#epoll, this.#kinds, start.tcp, events);
    try {
      this.#udp = start.udp.length === 0 ? null : new LinuxUdp(start, this.#clock, epoll, start.udp);
      for (const { fd } of start.udp) this.#kinds[fd] = UDP;
      this.#kinds[start.wake] = WAKE;
      epoll.set(EPOLL_CTL_ADD, start.wake, EPOLLIN);
    } catch (fault) {
      this.#tcp?.acceptor.close();
      throw fault;
    }
    this.#nextTickMs = this.#clock.nowMs + TICK_MS;
    this.#counters[COUNTER.heartbeatMs] = this.#clock.nowMs;
  }

  run(): void {
    this.#readCommand(); // a loop that takes a dead one's place may find the server draining
    const words = this.#epoll.words;
    const kinds = this.#kinds;
    const tcp = this.#tcp!; // null in a loop without TCP, where no descriptor is ECHOING
    while (this.#command !== COMMAND.stop) {
      const count = this.#wait();
      const now = this.#clock.tick();
      for (let at = 0, word = EVENT_FD_WORD; at < count; at++, word += EVENT_STRIDE_WORDS) {
        const fd = words[word]!;
        // An event may be stale: its descriptor closed, even taken again, earlier in this turn. Every handler acts
        // on what its system call says and not on the event's flags, so a stale one costs a call and no more.
        const kind = kinds[fd]!;
        if (kind === ECHOING) tcp.readable(fd);
        else this.#dispatch(kind, fd);
      }
      if (now >= this.#nextTickMs || this.#tickIsFar(now)) this.#tick(now);
    }
  }

  /** Waits for events, or for the next tick; before it sleeps it looks for a while, if asked to. */
  #wait(): number {
    const busyPollMs = this.#start.settings.busyPollMicros / 1000;
    if (busyPollMs > 0) {
      const endMs = performance.now() + busyPollMs;
      do {
        const count = this.#epoll.wait(0);
        if (count > 0) return count;
      } while (performance.now() < endMs);
    }
    return this.#epoll.wait(Math.max(0, Math.ceil(this.#nextTickMs - this.#clock.nowMs)));
  }

  /** An event on anything but an ECHOING session. */
  #dispatch(kind: number, fd: number): void {
    if (kind === UDP) this.#udp!.ready(fd);
    else if (kind === LISTENER) this.#tcp!.acceptor.accept(fd);
    else if (isSession(kind)) this.#tcp!.notEchoing(kind, fd);
    else if (kind === PROBE) this.#tcp!.probes.readable(fd);
    else if (kind === WAKE) this.#wake(fd);
    else if (kind !== NONE) throw new Error(`descriptor ${fd} is of no known kind`);
  }

  /** Whether the next tick is too far: it was set while there were no sessions, and now there is one, with deadlines. */
  #tickIsFar(now: number): boolean {
    return this.#nextTickMs - now > TICK_MS && this.#sessions() > 0;
  }

  #sessions(): number {
    return (this.#tcp?.rules.active ?? 0) + (this.#udp?.rules.active ?? 0);
  }

  #tick(now: number): void {
    this.#counters[COUNTER.loopLagSeconds] = Math.max(0, now - this.#nextTickMs) / 1000;
    this.#counters[COUNTER.heartbeatMs] = now;
    this.#tcp?.tick();
    this.#udp?.rules.sweep();
    this.#nextTickMs = now + (this.#sessions() > 0 ? TICK_MS : TICK_MS_IDLE);
  }

  #wake(fd: number): void {
    loadLibc().read(fd, this.#wakeBuffer.address as Pointer, 8);
    this.#readCommand();
  }

  #readCommand(): void {
    const command = Atomics.load(this.#control, CONTROL.command + this.#start.index);
    if (command === COMMAND.fail) throw new Error("fault injected");
    if (command >= COMMAND.drain && this.#command < COMMAND.drain) {
      this.#tcp?.drain();
      this.#events.onListenersLeft();
    }
    if (command >= COMMAND.cut && this.#command < COMMAND.cut) this.#tcp?.cut();
    this.#command = command;
  }

  /** Ends what is left and gives the loop's own descriptors back; bound sockets belong to the control plane. */
  close(reason: "cut" | "worker_died"): void {
    this.#tcp?.endAll(reason);
    this.#udp?.rules.endAll(reason === "cut" ? "drained" : reason);
    this.#epoll.close();
  }
}
