import { expect, test } from "bun:test";
import { SlowTcpClient } from "./clients/slow-tcp.ts";
import { run, ServerProcess, startServer, until } from "./harness.ts";

/** Which engine serves, and that it says so; and what only the Linux engine does. */

async function buildInfo(engine: string): Promise<string> {
  await using server = await startServer(["--engine", engine]);
  const ready = await server.waitForLog("ready");
  const info = (await server.metrics()).text.split("\n").find((line) => line.startsWith("echo_build_info{"));
  expect(info).toContain(`engine="${ready["engine"]}"`);
  expect(info).toContain(`reason="${ready["engineReason"]}"`);
  return `${ready["engine"]}: ${ready["engineReason"]}`;
}

test("the engine asked for serves, and log and metrics say which and why", async () => {
  expect(await buildInfo("bun")).toBe("bun: asked for");
  if (process.platform !== "linux") throw new Error("the Linux engine can be tested on Linux only");
  expect(await buildInfo("linux")).toBe("linux: asked for");
  expect(await buildInfo("auto")).toBe("linux: self-test passed");
});

/** A network namespace whose loopback is down: the self-test cannot reach itself. */
const WITHOUT_LOOPBACK = ["unshare", "--net", process.execPath, "src/main.ts"];
const NO_ADMIN = ["--tcp-port", "0", "--udp-port", "0", "--admin-port", "off", "--log-format", "json"];

test("where the self-test fails, auto serves by Bun's sockets and says why", async () => {
  await using server = new ServerProcess(["serve", ...NO_ADMIN], { command: WITHOUT_LOOPBACK });
  const ready = await server.waitForLog("ready");
  expect(ready["engine"]).toBe("bun");
  expect(ready["engineReason"]).toBe("the Linux engine does not work here: no loopback to test on");
});

test("where the self-test fails, --engine linux is refused in one line", async () => {
  const { exitCode, stderr } = await run(["serve", ...NO_ADMIN, "--engine", "linux"], {
    command: WITHOUT_LOOPBACK,
  });
  expect(exitCode).toBe(2);
  expect(stderr.trim()).toBe(
    "echo-server: --engine linux does not work here (no loopback to test on); allowed here: auto, bun",
  );
});

/**
 * Runs of like datagrams take a way of their own through the Linux engine (segments of one message). Each length
 * stands for one: nothing to segment, segments, the longest that are, just too long, far too long.
 */
const BURSTS: [number, number][] = [
  [80, 0],
  [80, 1],
  [80, 64],
  [80, 1472],
  [80, 1473],
  [8, 9000], // the client's own receive buffer holds no more
];

test.each(BURSTS)("%p datagrams of %p bytes in one burst come back as they went", async (count, length) => {
  await using server = await startServer();
  const sent = Array.from({ length: count }, (_, n) => Buffer.alloc(length, `${n}.`));
  const received: Buffer[] = [];
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port: server.udpPort },
    socket: { data: (_socket, data) => void received.push(Buffer.from(data)) },
  });
  socket.send("first");
  await until("banner and echo", () => received.length === 2);
  received.length = 0;
  for (let burst = 0; burst < 3; burst++) {
    socket.sendMany(sent);
    await until("all of them", () => received.length === sent.length);
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
    expect(received.every((datagram) => datagram.length === length)).toBe(true);
    received.length = 0;
  }
  const metrics = await server.metrics();
  expect(metrics.get("echo_sent_datagrams_total", { protocol: "udp" })).toBe(2 + 3 * count);
  socket.close();
});

test("urgent bytes come back in their place like any other", async () => {
  await using server = await startServer(["--no-banner"]);
  using client = new SlowTcpClient(server.tcpPort);
  client.sendText("ab");
  client.sendText("!", "urgent");
  client.sendText("cd");
  client.halfClose();
  expect(await client.text()).toBe("ab!cd");
});
