import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { untilActive, untilMetric } from "./clients/metrics.ts";
import { connectMany, disposeAll } from "./clients/tcp.ts";
import { requireTools } from "./clients/tools.ts";
import { UdpClient } from "./clients/udp.ts";
import { type EchoServer, MAIN, type Metrics, startServer, until } from "./harness.ts";

/** Event loops that die or cannot start: what they had is given back, others go on, and one takes their place. */

const LINUX = process.platform === "linux";
const WORKERS = ["--workers", "2", "--fault-injection"];
const TCP = { protocol: "tcp" };
const UDP = { protocol: "udp" };

beforeAll(requireTools, 300_000);

const count = (server: EchoServer, msg: string): number =>
  server.log.filter((line) => line.msg === msg).length;

/** Lets a loop die, and another take its place, again and again. */
async function faults(server: EchoServer, times: number): Promise<void> {
  for (let fault = 0; fault < times; fault++) {
    const before = count(server, "event loop runs again");
    server.kill("SIGUSR2");
    await until("a new loop", () => count(server, "event loop runs again") > before);
  }
}

const descriptors = (server: EchoServer): number => readdirSync(`/proc/${server.pid}/fd`).length;

function closed(metrics: Metrics, protocol: "tcp" | "udp"): number {
  const samples = [...metrics.samples].filter(
    ([key]) => key.startsWith("echo_closed_total{") && key.includes(`protocol="${protocol}"`),
  );
  return samples.reduce((sum, [, value]) => sum + value, 0);
}

/** Opened less closed is active, and each that closed has a length. */
function expectBalance(metrics: Metrics, protocol: "tcp" | "udp"): void {
  const opened = metrics.get("echo_sessions_opened_total", { protocol });
  expect(opened - closed(metrics, protocol)).toBe(metrics.get("echo_sessions_active", { protocol }));
  expect(metrics.get("echo_session_duration_seconds_count", { protocol })).toBe(closed(metrics, protocol));
}

describe("after a death the metrics agree", () => {
  test("TCP", async () => {
    await using server = await startServer(WORKERS);
    const clients = await connectMany(server.tcpPort, 60);
    await Promise.all(clients.map((client) => client.greeted()));
    await faults(server, 1);
    const died = (await server.metrics()).get("echo_closed_total", { ...TCP, reason: "worker_died" });
    expect(died).toBeGreaterThan(0);
    expectBalance(await server.metrics(), "tcp");
    await untilActive(server, "tcp", 60 - died);
    disposeAll(clients);
    await untilActive(server, "tcp", 0);
    expectBalance(await server.metrics(), "tcp");
    await untilMetric(server, "echo_session_duration_seconds_count", TCP, 60);
  });

  test("UDP", async () => {
    await using server = await startServer([...WORKERS, "--tcp-port", "off", "--udp-idle-timeout", "1s"]);
    const clients = await Promise.all(Array.from({ length: 60 }, () => UdpClient.open(server.udpPort)));
    for (const client of clients) client.send("x");
    await Promise.all(clients.map((client) => client.receives(2)));
    await faults(server, 1);
    const died = (await server.metrics()).get("echo_closed_total", { ...UDP, reason: "worker_died" });
    expect(died).toBeGreaterThan(0);
    expect(died).toBeLessThan(60);
    expectBalance(await server.metrics(), "udp");
    await untilActive(server, "udp", 0);
    expectBalance(await server.metrics(), "udp");
    disposeAll(clients);
  });
});

test("a loop alone is replaced too, and newcomers wait for the new one", async () => {
  await using server = await startServer(["--workers", "1", "--fault-injection"]);
  for (let round = 0; round < 5; round++) {
    server.kill("SIGUSR2");
    await until("its death", () => count(server, "event loop restarted") > round);
    const [client] = await connectMany(server.tcpPort, 1);
    await client!.greeted();
    client![Symbol.dispose]();
  }
  expect((await server.metrics()).get("echo_worker_restarts_total")).toBe(5);
  expect((await server.fetch("/livez")).status).toBe(200);
});

for (const host of ["0.0.0.0", "127.0.0.1"]) {
  test(`a UDP loop alone on ${host} is replaced too, and newcomers wait for the new one`, async () => {
    await using server = await startServer([
      "--fault-injection",
      "--workers",
      "1",
      "--tcp-port",
      "off",
      "--host",
      host,
    ]);
    for (let round = 0; round < 5; round++) {
      server.kill("SIGUSR2");
      await until("its death", () => count(server, "event loop restarted") > round);
      using client = await UdpClient.open(server.udpPort, { from: `127.0.0.${10 + round}` });
      client.send("x");
      await client.receives(2);
    }
  });
}

/** Asks 40 addresses that no interface lists, each for the first time; how many answer with banner and echo. */
async function answersOfUnlisted(server: EchoServer, net: number): Promise<number> {
  const clients = await Promise.all(
    Array.from({ length: 40 }, (_, at) =>
      UdpClient.open(server.udpPort, { host: `127.${net}.0.${at + 2}`, from: `127.${net}.1.${at + 2}` }),
    ),
  );
  for (const client of clients) client.send("x");
  await Promise.all(clients.map((client) => client.receives(2)));
  disposeAll(clients);
  return clients.filter(({ texts }) => texts[1] === "x").length;
}

test.if(LINUX)(
  "after 40 faults first datagrams to addresses that no interface lists are all answered",
  async () => {
    await using server = await startServer([...WORKERS, "--tcp-port", "off"]);
    expect(await answersOfUnlisted(server, 10)).toBe(40);
    await faults(server, 6);
    expect(await answersOfUnlisted(server, 11)).toBe(40);
    await faults(server, 34);
    expect(await answersOfUnlisted(server, 12)).toBe(40);
  },
  120_000,
);

test.if(LINUX)(
  "40 replacements cost neither descriptors nor memory",
  async () => {
    await using server = await startServer([...WORKERS, "--tcp-port", "off", "--host", "127.0.0.1"]);
    // Long runs of large datagrams that wait for it: the loops then use all the memory that they have.
    const large = Buffer.alloc(60_000, "large");
    const isEcho = ({ length }: Buffer): boolean => length === large.length;
    const use = async (): Promise<void> => {
      const clients = await Promise.all(Array.from({ length: 8 }, () => UdpClient.open(server.udpPort)));
      server.kill("SIGSTOP");
      for (let round = 0; round < 16; round++) for (const client of clients) client.send(large);
      server.kill("SIGCONT");
      await until("an echo", () => clients.some(({ received }) => received.some(isEcho)));
      disposeAll(clients);
    };
    for (let round = 0; round < 10; round++) {
      await faults(server, 1);
      await use();
    }
    const [before, bytesBefore] = [descriptors(server), await server.residentBytes()];
    for (let round = 0; round < 40; round++) {
      await faults(server, 1);
      await use();
    }
    await until("no more descriptors than before", () => descriptors(server) <= before);
    // Each of the 40 had touched buffers of megabytes.
    expect((await server.residentBytes()) - bytesBefore).toBeLessThan(40 * 1024 * 1024);
  },
  180_000,
);

test("a loop that dies while the server drains is not replaced, and holds nobody up", async () => {
  await using server = await startServer([...WORKERS, "--drain-timeout", "30s"]);
  const clients = await connectMany(server.tcpPort, 20);
  await Promise.all(clients.map((client) => client.greeted()));
  server.kill("SIGTERM");
  await server.waitForLog("draining");
  server.kill("SIGUSR2");
  const loss = await server.waitForLog("event loop died while draining");
  expect(loss).toMatchObject({ level: "error", loop: 1, why: "fault injected" });
  disposeAll(clients);
  expect(await server.exited).toBe(0);
  expect(count(server, "event loop restarted")).toBe(0);
  expect(count(server, "event loop runs again")).toBe(0);
});

/** Sets the soft limit of open files of a running process. */
async function limitDescriptors(server: EchoServer, soft: string): Promise<void> {
  const child = Bun.spawn(["prlimit", "--pid", String(server.pid), `--nofile=${soft}:`]);
  if ((await child.exited) !== 0) throw new Error("prlimit failed");
}

test.if(LINUX)("a loop that cannot start is tried again, ends nothing, and costs nothing", async () => {
  await using server = await startServer([...WORKERS, "--host", "127.0.0.1", "--max-tcp-sessions", "100"]);
  const clients = await connectMany(server.tcpPort, 20);
  await Promise.all(clients.map((client) => client.greeted()));
  const before = descriptors(server);
  await limitDescriptors(server, String(before - 20)); // those of the dead loop's sessions do not help
  server.kill("SIGUSR2");
  await until("three tries", () => count(server, "event loop did not start") >= 3);
  const tries = server.log.filter(({ msg }) => msg === "event loop did not start");
  expect(tries.slice(0, 3).map((line) => line["retryMs"])).toEqual([100, 200, 400]);
  expect(tries[0]).toMatchObject({ level: "error", why: "too few descriptors are left" });
  await limitDescriptors(server, "4096");
  await server.waitForLog("event loop runs again");
  disposeAll(clients);
  const later = await connectMany(server.tcpPort, 20);
  await Promise.all(later.map((client) => client.greeted()));
  disposeAll(later);
  await untilActive(server, "tcp", 0);
  await until("no more descriptors than before", () => descriptors(server) <= before);
});

test.if(LINUX)(
  "linux: an epoll set that fails ends its loop, with the reason, and it is replaced",
  async () => {
    const preload = fileURLToPath(new URL("./preloads/break-epoll.ts", import.meta.url));
    await using server = await startServer(["--engine", "linux", "--workers", "1"], {
      command: [process.execPath, "--preload", preload, MAIN],
    });
    const [before] = await connectMany(server.tcpPort, 1);
    await before!.greeted();
    server.kill("SIGUSR1");
    const line = await server.waitForLog("event loop restarted");
    expect(line).toMatchObject({ level: "error", why: "epoll_wait failed: EINVAL (22)" });
    await server.waitForLog("event loop runs again");
    const [after] = await connectMany(server.tcpPort, 1);
    await after!.greeted();
    disposeAll([before!, after!]);
  },
);

test("a client that reset its connection before it was accepted is counted, by one number or the other", async () => {
  await using server = await startServer(["--workers", "1"]);
  server.kill("SIGSTOP");
  const clients = await connectMany(server.tcpPort, 30);
  for (const client of clients) client.reset();
  server.kill("SIGCONT");
  await until("all are counted", async () => {
    const metrics = await server.metrics();
    const gone = metrics.get("echo_refused_total", { ...TCP, reason: "gone" });
    const reset = metrics.get("echo_closed_total", { ...TCP, reason: "reset" });
    return gone + reset === 30;
  });
  const [later] = await connectMany(server.tcpPort, 1);
  await later!.greeted();
  later![Symbol.dispose]();
});

test("sessions are counted by loop, for the protocols that it serves", async () => {
  await using server = await startServer(["--workers", "2"]);
  const clients = await connectMany(server.tcpPort, 40);
  await Promise.all(clients.map((client) => client.greeted()));
  const loops = (metrics: Metrics, name: string, protocol: string): number[] =>
    [...metrics.samples]
      .filter(([key]) => key.startsWith(`${name}{`) && key.includes(`protocol="${protocol}"`))
      .map(([, value]) => value);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const metrics = await server.metrics();
  const opened = loops(metrics, "echo_loop_sessions_opened_total", "tcp");
  expect(opened.length).toBe(2);
  expect(sum(opened)).toBe(40);
  expect(Math.min(...opened)).toBeGreaterThan(0);
  expect(loops(metrics, "echo_loop_sessions_active", "tcp")).toEqual(opened);
  expect(loops(metrics, "echo_loop_sessions_opened_total", "udp")).toEqual([0, 0]);
  disposeAll(clients);
  await untilActive(server, "tcp", 0);
  const after = await server.metrics();
  expect(loops(after, "echo_loop_sessions_active", "tcp")).toEqual([0, 0]);
  expect(loops(after, "echo_loop_sessions_opened_total", "tcp")).toEqual(opened);
});
