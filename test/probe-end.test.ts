import type { Pointer } from "bun:ffi";
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { TcpProbe } from "../src/admin/probe-tcp.ts";
import { UdpProbe } from "../src/admin/probe-udp.ts";
import { PROBE_LIFE_MS } from "../src/engine/loop.ts";
import { openLog } from "../src/log.ts";
import { endpointOf } from "../src/net/endpoint.ts";
import { drain } from "../src/server/drain.ts";
import { COUNTER, sumColumn, UDP_DROPS } from "../src/state/counters.ts";
import { takeBackTcpEnd, tellTcpEnd } from "../src/state/probe-end.ts";
import { CONTROL, makeSharedTables } from "../src/state/shared.ts";
import {
  AF_INET,
  EADDRINUSE,
  loadLibc,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../src/sys/libc.ts";
import { nativeMemory } from "../src/sys/memory.ts";
import { writeSockaddr } from "../src/sys/sockaddr.ts";
import { setOption } from "../src/sys/socket.ts";
import { Here } from "./clients/loops.ts";
import { untilMetric } from "./clients/metrics.ts";
import { OwnSocket } from "./clients/own-socket.ts";
import { sendForged } from "./clients/raw-udp.ts";
import { probed } from "./clients/readiness.ts";
import { TcpClient } from "./clients/tcp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";
import { ip } from "./rules/fixtures.ts";

/** The server's own probe is told by its own end: nobody else is taken for it, and it can leave nothing behind. */

const LOOPBACK = ip("127.0.0.1");

/** A connection from the probe's own end, and the banner it got. */
async function probeOf(here: Here): Promise<{ socket: OwnSocket; banner: string }> {
  const socket = new OwnSocket();
  opened.push(socket);
  expect(socket.open(LOOPBACK)).toBeNull();
  tellTcpEnd(here.tables, LOOPBACK, socket.port);
  expect(socket.connect(LOOPBACK, here.tcpPort)).toBeNull();
  const banner = await receives(socket, (text) => text.endsWith("\n\n"));
  return { socket, banner };
}

/** What comes on the socket, once it is enough; or `END` in its place where the connection is over. */
const END = "the end";
async function receives(socket: OwnSocket, enough: (text: string) => boolean): Promise<string> {
  let text = "";
  await until("bytes of the probe's", () => {
    const failure = socket.receive();
    if (failure === "EAGAIN") return false;
    if (failure !== null || socket.received.length === 0) {
      text = END;
      return true;
    }
    text += Buffer.from(socket.received).toString("latin1");
    return enough(text);
  });
  return text;
}

const opened: OwnSocket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
});

describe("who is the TCP probe", () => {
  test("its own end, with a banner and an echo like anybody's; the same port elsewhere is a client's", async () => {
    await using here = await Here.start({ maxTcpSessions: 1 });
    const { socket, banner } = await probeOf(here);
    expect(banner).toContain(`Server: 127.0.0.1:${here.tcpPort}\nClient: 127.0.0.1:${socket.port}\n`);
    expect(socket.send(Buffer.from("nonce"))).toBeNull();
    expect(await receives(socket, (text) => text === "nonce")).toBe("nonce");
    expect(here.counted()).toEqual([]);

    const place = { from: "127.0.0.2", fromPort: socket.port };
    using client = await TcpClient.connect(here.tcpPort, place);
    expect(await client.greeted()).toContain(`Client: 127.0.0.2:${socket.port}\n`);
    expect(sumColumn(here.tables.counters, COUNTER.tcpOpened)).toBe(1);
    using second = await TcpClient.connect(here.tcpPort, { ...place, from: "127.0.0.3" });
    expect(await second.ended).toBe("reset"); // the cap is for them
    using other = await TcpClient.connect(here.tcpPort, { from: "127.0.0.1" });
    expect(await other.ended).toBe("reset"); // and for the probe's neighbours

    // Taken back, the end is nobody's, and this connection goes on as what it began as.
    takeBackTcpEnd(here.tables);
    socket.send(Buffer.from("more"));
    expect(await receives(socket, (text) => text === "more")).toBe("more");
    const { port } = socket;
    socket.close();
    client.halfClose();
    await client.ended;
    await until("room", () => Atomics.load(new Int32Array(here.tables.control), CONTROL.tcpActive) === 0);
    using heir = await TcpClient.connect(here.tcpPort, { from: "127.0.0.1", fromPort: port });
    await heir.greeted();
    expect(sumColumn(here.tables.counters, COUNTER.tcpOpened)).toBe(2);
  });
});

describe("who is the UDP probe", () => {
  test("its own end; the same port elsewhere is a client's, and forged it is one for one", async () => {
    await using server = await startServer(["--tcp-port", "off", "--max-udp-sessions", "1"]);
    await probed(server, 1);
    const fromPort = udpProbePort(server);
    using client = await UdpClient.open(server.udpPort, { from: "127.0.0.2", fromPort });
    expect(await greet(client)).toContain(`Client: 127.0.0.2:${fromPort}\n`);
    await untilMetric(server, "echo_sessions_opened_total", { protocol: "udp" }, 1);
    await untilMetric(server, "echo_received_datagrams_total", { protocol: "udp" }, 1);
    await untilMetric(server, "echo_received_bytes_total", { protocol: "udp" }, 5);

    for (let count = 0; count < 10; count++) {
      const target = { address: "127.0.0.1", port: server.udpPort };
      sendForged({ address: "127.0.0.1", port: fromPort }, target, Buffer.from("forged"));
    }
    expect((await client.asks("after them")).toString()).toBe("after them");
    await untilMetric(server, "echo_received_datagrams_total", { protocol: "udp" }, 2);
    await probed(server, 3);
    expect((await server.metrics()).get("echo_received_datagrams_total", { protocol: "udp" })).toBe(2);
    expect((await server.metrics()).get("echo_sent_datagrams_total", { protocol: "udp" })).toBe(3);
  });

  test("a port that the loop guard blocks is the probe's while it has it, and blocked again after", async () => {
    const every = Array.from({ length: 65535 }, (_, at) => at + 1);
    await using here = await Here.start({ udpBlockedSourcePorts: every, tcpPort: null });
    const blocked = COUNTER.udpDropped + UDP_DROPS.indexOf("blocked_source_port");
    const probe = new UdpProbe(here.tables, endpointOf("127.0.0.1", here.udpPort)!);
    expect(await probe.ask(10_000)).toBeNull();
    expect(here.counted()).toEqual([]);
    const fromPort = Atomics.load(new Int32Array(here.tables.control), CONTROL.probeUdpEnd);
    using stranger = await UdpClient.open(here.udpPort, { from: "127.0.0.2", fromPort });
    stranger.send("from a blocked port");
    await until("a drop", () => sumColumn(here.tables.counters, blocked) === 1);
    expect(sumColumn(here.tables.counters, COUNTER.udpReceivedDatagrams)).toBe(1);
    expect(sumColumn(here.tables.counters, COUNTER.udpReceivedBytes)).toBe(19);
    probe.close();
    using heir = await UdpClient.open(here.udpPort, { from: "127.0.0.1", fromPort });
    heir.send("from a blocked port");
    await until("one more drop", () => sumColumn(here.tables.counters, blocked) === 2);
  });
});

test("nobody can have the probe's end while it has it", async () => {
  await using server = await startServer();
  await probed(server, 1);
  const udpPort = udpProbePort(server);

  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const tables = makeSharedTables(1, 0);
  const probe = new TcpProbe(tables, endpointOf("127.0.0.1", silent.port)!);
  expect(await probe.ask(10)).not.toBeNull(); // its connection stays, and its end with it
  const tcpPort = Atomics.load(new Int32Array(tables.control), CONTROL.probeTcpEnd);

  for (const options of [[], [SO_REUSEADDR], [SO_REUSEPORT], [SO_REUSEADDR, SO_REUSEPORT]]) {
    for (const thief of ["127.0.0.1", "0.0.0.0"]) {
      expect([options, thief, bindError(SOCK_DGRAM, thief, udpPort, options)]).toEqual([
        options,
        thief,
        EADDRINUSE,
      ]);
      expect([options, thief, bindError(SOCK_STREAM, thief, tcpPort, options)]).toEqual([
        options,
        thief,
        EADDRINUSE,
      ]);
    }
  }
  probe.close();
  expect(bindError(SOCK_STREAM, "127.0.0.1", tcpPort, [])).toBe(0);
});

describe("a probe that does not end", () => {
  test("keeps no drain waiting, and is gone with the loop", async () => {
    await using here = await Here.start();
    const { socket } = await probeOf(here);
    const { logger: log } = await openLog({ logLevel: "error", logFormat: "json" });
    await drain(here.loops, here.tables, 60_000, "SIGTERM", log);
    expect(socket.receive()).toBe("EAGAIN"); // it is still here: nobody waited for it
    await here.stop();
    expect(await receives(socket, () => false)).toBe(END);
    expect(here.counted()).toEqual([]);
  });

  test("is ended by the loop after a while, and counted nowhere", async () => {
    await using here = await Here.start();
    const startMs = performance.now();
    const { socket } = await probeOf(here);
    expect(await receives(socket, () => false)).toBe(END);
    expect(performance.now() - startMs).toBeGreaterThan(PROBE_LIFE_MS / 2);
    expect(here.counted()).toEqual([]);
  });
});

/** The port of the server's UDP probe: the one socket that is connected to the server's UDP port. */
function udpProbePort({ udpPort }: EchoServer): number {
  const remote = `0100007F:${udpPort.toString(16).toUpperCase().padStart(4, "0")}`;
  const fields = readFileSync("/proc/net/udp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const [, local] = fields.find((field) => field[2] === remote)!;
  return Number.parseInt(local!.split(":")[1]!, 16);
}

/** The error of bind(2) to that end, with socket options set; 0 where it is free. */
function bindError(type: number, address: string, port: number, options: readonly number[]): number {
  const libc = loadLibc();
  const fd = libc.socket(AF_INET, type, 0);
  for (const option of options) expect(setOption(fd, SOL_SOCKET, option, 1)).toBe(true);
  const memory = nativeMemory(64);
  const length = writeSockaddr(memory.view, 0, AF_INET, ip(address), port);
  const error = libc.bind(fd, memory.address as Pointer, length) < 0 ? libc.errno() : 0;
  libc.close(fd);
  return error;
}
