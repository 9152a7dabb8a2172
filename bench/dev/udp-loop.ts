/**
 * What the UDP loop of the Linux engine costs by itself: the code of a checkout over prepared memory, with system calls that
 * do nothing. Prints nanoseconds a datagram, the least and the middle of 7 runs; what the kernel does is not in it, nor
 * what it throws out of the caches. Noise of other processes hardly touches the least.
 *
 *     bun bench/dev/udp-loop.ts [ROOT of a checkout] [datagrams a batch, 1 to 64] [clients]
 */
import { type Pointer, toArrayBuffer } from "bun:ffi";
import type { LinuxUdp } from "../../src/engine/linux/udp.ts";
import type { LoopStart } from "../../src/engine/loop.ts";
import type { Clock } from "../../src/state/clock.ts";
import type { SharedTables } from "../../src/state/shared.ts";
import type { Libc } from "../../src/sys/libc.ts";

const [root = new URL("../..", import.meta.url).pathname, batch = "64", clients = "50"] =
  process.argv.slice(2);
const BATCH = 64;
const MMSGHDR_BYTES = 64;
const FD = 999;

/** Writes BATCH datagrams of 64 bytes, from `clients` ports in turn, as recvmmsg(2) would at `headers`. */
function receiveAll(headers: number): void {
  const view = new DataView(toArrayBuffer(headers as Pointer, 0, BATCH * MMSGHDR_BYTES));
  for (let at = 0; at < BATCH; at++) {
    const header = at * MMSGHDR_BYTES;
    const name = new DataView(toArrayBuffer(Number(view.getBigUint64(header, true)) as Pointer, 0, 16));
    name.setUint16(0, 2, true);
    name.setUint16(2, 20_000 + ((at * 7) % Number(clients)));
    name.setUint32(4, 0x7f000001);
    const control = new DataView(
      toArrayBuffer(Number(view.getBigUint64(header + 32, true)) as Pointer, 0, 32),
    );
    for (const word of [20, 24]) control.setUint32(word, 0x7f000001); // where it went to
    view.setUint32(header + 56, 64, true);
  }
}

const { loadLibc } = (await import(`${root}/src/sys/libc.ts`)) as { loadLibc(): Libc };
let isFilled = false;
Object.assign(loadLibc(), {
  recvmmsg(_fd: number, headers: number): number {
    if (!isFilled) receiveAll(headers);
    isFilled = true;
    return Number(batch);
  },
  sendmmsg: (_fd: number, _headers: number, count: number) => count,
  sendmsg: () => 64,
});
const shared = (await import(`${root}/src/state/shared.ts`)) as {
  makeSharedTables(...of: unknown[]): SharedTables;
};
const clocks = (await import(`${root}/src/state/clock.ts`)) as { Clock: new () => Clock };
const engine = (await import(`${root}/src/engine/linux/udp.ts`)) as {
  LinuxUdp: new (...of: unknown[]) => LinuxUdp;
};
const clock = new clocks.Clock();
const settings: Partial<LoopStart["settings"]> = {
  ...{ banner: true, bannerFields: "", maxUdpSessions: 65_536, udpIdleTimeoutMs: 60_000 },
  ...{ udpBlockedSourcePorts: [], udpBannerRate: 1000, udpBannerRatePerPrefix: 100 },
  ...{ udpRatePerClient: 0, udpAmplificationMax: 10 },
};
const socket = {
  fd: FD,
  family: 2,
  wildcard: true,
  port: 5678,
  address: { a0: 0, a1: 0, a2: 0xffff, a3: 0 },
};
const start = { settings, tables: shared.makeSharedTables(1, 0), index: 0 };
const udp = new engine.LinuxUdp(start, clock, { set() {} }, [socket]);

/** Nanoseconds a datagram, over that time. */
function run(milliseconds: number): number {
  const datagrams = Number(batch) === BATCH ? 4 * BATCH : Number(batch); // a full batch is followed by another, up to four
  const end = performance.now() + milliseconds;
  let turns = 0;
  const since = performance.now();
  for (; performance.now() < end; turns++) {
    clock.tick();
    udp.ready(FD);
  }
  return ((performance.now() - since) * 1e6) / (turns * datagrams);
}

run(2500); // until sessions are trusted and the JIT has compiled all
const runs = Array.from({ length: 7 }, () => run(400)).toSorted((a, b) => a - b);
console.log(`${batch} a batch, ${clients} clients: ${runs[0]!.toFixed(1)} ns, ${runs[3]!.toFixed(1)} ns`);
process.exit(0);
