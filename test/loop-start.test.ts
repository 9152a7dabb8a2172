import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { listenTcp } from "../src/engine/bind.ts";
import { runLinuxLoop } from "../src/engine/linux/loop.ts";
import { planLoops } from "../src/engine/start.ts";
import { UsageError } from "../src/errors.ts";
import { workerCount } from "../src/server/settings.ts";
import { makeSharedTables } from "../src/state/shared.ts";
import { EpollSet } from "../src/sys/epoll.ts";
import { loadLibc, openFirst } from "../src/sys/libc.ts";
import { openFileLimit } from "../src/sys/limits.ts";
import { connectMany } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { MAIN, run, startServer } from "./harness.ts";
import { settings } from "./rules/fixtures.ts";

/** Which loops are started, what stands against it, and what a start that fails leaves behind. */

const LINUX = process.platform === "linux";
const DARWIN = fileURLToPath(new URL("./preloads/darwin.ts", import.meta.url));
const ON_DARWIN = { command: [process.execPath, "--preload", DARWIN, MAIN] };

test("bun: TCP and UDP share no loop; linux: each loop has both", () => {
  const both = { tcpPort: 1, udpPort: 2 };
  const [tcp, udp] = [
    { tcp: true, udp: false },
    { tcp: false, udp: true },
  ];
  expect(planLoops("bun", both, 1)).toEqual([tcp, udp]);
  expect(planLoops("bun", { ...both, tcpPort: null }, 1)).toEqual([udp]);
  if (LINUX) expect(planLoops("bun", both, 2)).toEqual([tcp, tcp, udp, udp]);
  expect(planLoops("linux", both, 1)).toEqual([{ tcp: true, udp: true }]);
  expect(planLoops("linux", { ...both, udpPort: null }, 1)).toEqual([tcp]);
});

test("off Linux one loop is all that works: more is a wrong value, auto is one", () => {
  expect(workerCount({ workers: 0 }, "darwin")).toBe(1);
  expect(workerCount({ workers: 1 }, "darwin")).toBe(1);
  expect(() => workerCount({ workers: 2 }, "darwin")).toThrow(UsageError);
  expect(() => workerCount({ workers: 2 }, "darwin")).toThrow(
    "--workers 2 is not allowed on darwin: one loop is all that works there; allowed: 1, auto",
  );
  expect(workerCount({ workers: 2 }, "linux")).toBe(2);
});

test("off Linux the limit of open files is the real one", () => {
  expect(openFileLimit("darwin")).toBeGreaterThan(0);
  if (LINUX) expect(openFileLimit("darwin")).toBe(openFileLimit("linux"));
});

test("where the system is not Linux, one loop serves, and more are refused with exit code 2", async () => {
  const two = await run(["serve", "--workers", "2"], ON_DARWIN);
  expect(two.exitCode).toBe(2);
  expect(two.stderr).toBe(
    "echo-server: --workers 2 is not allowed on darwin: one loop is all that works there; allowed: 1, auto\n",
  );
  await using server = await startServer(["--workers", "auto", "--engine", "auto"], {
    ...ON_DARWIN,
    openFiles: 1500,
  });
  expect(server.engine).toBe("bun");
  expect((await server.waitForLog("ready"))["maxTcpSessions"]).toBe(1500 - 128);
  const [client] = await connectMany(server.tcpPort, 1);
  await client!.greeted();
  client![Symbol.dispose]();
  using udp = await UdpClient.open(server.udpPort);
  udp.send("x");
  await udp.receives(2);
  expect((await server.fetch("/readyz")).status).toBe(200);
  expect((await server.stop()).exitCode).toBe(0);
});

test("where no libc can be loaded, all names tried are told, and why the first one failed", () => {
  const open = (name: string): never => {
    throw new Error(`${name}: no such file`);
  };
  expect(() => openFirst(["libc.so.6", "libc.so"], open)).toThrow(
    "no libc could be loaded (tried libc.so.6, libc.so): libc.so.6: no such file",
  );
  expect(openFirst(["a", "b"], (name) => (name === "b" ? 7 : open(name)))).toBe(7);
});

/** Each attempt that leaked a descriptor would leak so many. */
const ROUNDS = 50;

const descriptors = (): number => readdirSync("/proc/self/fd").length;

test.if(LINUX)("linux: a loop whose start fails gives back every descriptor that it took", () => {
  const libc = loadLibc();
  const tables = makeSharedTables(1, 0);
  const [listener] = listenTcp(["127.0.0.1"], 0, "alone");
  const closed = { ...listener!, fd: 100_000 }; // no descriptor of this process
  const start = { settings: settings(), tables, index: 0, wake: 100_000, descriptorsMax: 110_000 };
  const silent = { onRunning: () => {}, onListenersLeft: () => {}, onSession: null, onFault: () => {} };
  const attempts = [
    { ...start, tcp: [closed], udp: [] },
    { ...start, tcp: [listener!], udp: [closed] },
    { ...start, tcp: [listener!], udp: [] }, // its eventfd is none
  ];
  const before = descriptors();
  for (const attempt of Array.from({ length: ROUNDS }, () => attempts).flat()) {
    expect(() => runLinuxLoop(attempt, silent)).toThrow("epoll_ctl of descriptor 100000 failed: EBADF (9)");
  }
  // What other tests of this process have left may still be closing, or opening.
  expect(descriptors()).toBeLessThan(before + ROUNDS);
  libc.close(listener!.fd);
});

test.if(LINUX)("linux: a wait on what is no epoll set throws and names the error", () => {
  const interest = new EpollSet();
  expect(interest.wait(0)).toBe(0);
  interest.close();
  expect(() => interest.wait(0)).toThrow("epoll_wait failed: EBADF (9)");
});
