import type { Pointer } from "bun:ffi";
import { type BoundSocket, bindUdp } from "../../src/engine/bind.ts";
import { LinuxUdp } from "../../src/engine/linux/udp.ts";
import type { LoopSettings } from "../../src/engine/loop.ts";
import { COUNTER, UDP_DROPS } from "../../src/state/counters.ts";
import { makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
import { EpollSet } from "../../src/sys/epoll.ts";
import { loadLibc } from "../../src/sys/libc.ts";
import { HandClock, settings } from "../rules/fixtures.ts";

/** The Linux engine's UDP without its loop: a test gives it its turns, its time, and a kernel that takes what the test says. */

/** What the kernel makes of a call that sends `count` messages: how many it takes, or the error of the first. */
export type Takes = (count: number) => number | { errno: number };

const libc = loadLibc();
const real = { sendmmsg: libc.sendmmsg, sendmsg: libc.sendmsg, errno: libc.errno };

/** From now on the kernel takes what `takes` says. */
export function faultKernel(takes: Takes): void {
  let errno: number | null = null;
  const faulty = (count: number, call: (count: number) => number): number => {
    const taken = takes(count);
    errno = typeof taken === "number" ? null : taken.errno;
    return typeof taken === "number" ? call(taken) : -1;
  };
  Object.assign(libc, {
    sendmmsg: (fd: number, headers: Pointer, count: number, flags: number) =>
      faulty(count, (taken) => real.sendmmsg(fd, headers, taken, flags)),
    sendmsg: (fd: number, header: Pointer, flags: number) => faulty(1, () => real.sendmsg(fd, header, flags)),
    errno: () => errno ?? real.errno(),
  });
}

/** The kernel is as it is. */
export function mendKernel(): void {
  Object.assign(libc, real);
}

/** One loop's UDP, in the test's own hands. */
export class Hands implements Disposable {
  readonly clock = new HandClock();
  readonly tables: SharedTables;
  readonly udp: LinuxUdp;
  readonly sockets: readonly BoundSocket[];
  readonly port: number;
  readonly #epoll = new EpollSet();

  constructor(hosts: readonly string[], changes: Partial<LoopSettings>) {
    const wanted = settings(changes);
    this.tables = makeSharedTables(1, 0, undefined, undefined, {
      rows: 50,
      slots: { tcp: 1, udp: wanted.maxUdpSessions },
    });
    this.sockets = bindUdp(hosts, 0, "alone");
    this.port = this.sockets[0]!.port;
    const start = { settings: wanted, tables: this.tables, index: 0 };
    this.udp = new LinuxUdp(start, this.clock, this.#epoll, this.sockets);
  }

  /** One event on each socket. */
  turn(): void {
    for (const { fd } of this.sockets) this.udp.ready(fd);
  }

  count(column: keyof typeof COUNTER): number {
    return this.udp.rules.counters[COUNTER[column]]!;
  }

  drops(): Record<string, number> {
    return Object.fromEntries(
      UDP_DROPS.map((reason, at): [string, number] => [
        reason,
        this.udp.rules.counters[COUNTER.udpDropped + at]!,
      ]).filter(([, count]) => count > 0),
    );
  }

  [Symbol.dispose](): void {
    this.#epoll.close();
    for (const { fd } of this.sockets) libc.close(fd);
  }
}
