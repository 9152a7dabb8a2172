import { beforeEach, describe, expect, test } from "bun:test";
import { AddressCache } from "../src/engine/bun/address-cache.ts";
import { type Sender, UdpEndpoint } from "../src/engine/bun/udp.ts";
import type { LoopSettings } from "../src/engine/loop.ts";
import { parseAddress } from "../src/net/address.ts";
import { UdpRules } from "../src/rules/udp.ts";
import { Clock } from "../src/state/clock.ts";
import { C, UDP_DROPS, type UdpDrop } from "../src/state/counters.ts";
import { makeSharedTables } from "../src/state/shared.ts";

/** The portable engine's UDP endpoint on a socket whose kernel does what a test wants: takes, refuses, or fails. */

const SETTINGS: LoopSettings = {
  hosts: ["127.0.0.1"],
  tcpPort: null,
  udpPort: 0,
  banner: true,
  bannerFields: "",
  maxTcpSessions: 1,
  maxTcpSessionsPerClient: 0,
  maxUdpSessions: 10_000,
  maxAdminConnections: 64,
  tcpIdleTimeoutMs: 0,
  tcpKeepAliveMs: 0,
  udpIdleTimeoutMs: 0,
  maxQueuedBytes: 1024,
  proxyProtocol: "off",
  proxyTrusted: [],
  proxyTimeoutMs: 1000,
  udpBlockedSourcePorts: [],
  udpBannerRate: 1_000_000,
  udpBannerRatePerPrefix: 1_000_000,
  udpRatePerClient: 0,
  udpAmplificationMax: 1000,
  busyPollMicros: 0,
  logSessions: false,
};

type Kernel = "takes" | "is full" | "fails";

/** A stand-in for Bun's socket: `kernel` says what becomes of the next send, `once` of the one before that. */
class FakeSocket implements Sender {
  kernel: Kernel = "takes";
  once: Kernel[] = [];
  readonly sent: { text: string; port: number }[] = [];

  send(bytes: Uint8Array, port: number, _address: string): boolean {
    const what = this.once.shift() ?? this.kernel;
    if (what === "fails") throw Object.assign(new Error("send"), { code: "ECONNREFUSED" });
    if (what === "is full") return false;
    this.sent.push({ text: Buffer.from(bytes).toString(), port });
    return true;
  }
}

let rules: UdpRules;
let endpoint: UdpEndpoint;
let socket: FakeSocket;

const receive = (text: string, port = 4000): void =>
  endpoint.receive(socket, Buffer.from(text), port, "127.0.0.1");
const drain = (): void => endpoint.drain(socket);
const dropped = (reason: UdpDrop): number => rules.row[C.udpDropped + UDP_DROPS.indexOf(reason)]!;
const echoes = (): string[] =>
  socket.sent.map(({ text }) => text).filter((text) => !text.includes("Server:"));

beforeEach(() => {
  rules = new UdpRules(SETTINGS, makeSharedTables(1, 0), 0, new Clock());
  endpoint = new UdpEndpoint(rules, new AddressCache(), "127.0.0.1", 0);
  endpoint.serverPort = 5678;
  socket = new FakeSocket();
  receive("first"); // banner and echo: from here on there is a session
  socket.sent.length = 0;
});

test("the first datagram of a session is answered by the banner, then the echo", () => {
  receive("hello", 4001);
  expect(socket.sent[0]!.text).toEndWith("\nServer: 127.0.0.1:5678\nClient: 127.0.0.1:4001\n\n");
  expect(socket.sent[1]).toEqual({ text: "hello", port: 4001 });
  expect(rules.row[C.udpSentDatagrams]).toBe(4);
});

describe("a send that fails", () => {
  test("by the news of another peer's death is tried again", () => {
    socket.once = ["fails"];
    receive("a");
    socket.once = ["fails", "fails"];
    receive("b");
    expect(echoes()).toEqual(["a", "b"]);
    expect(dropped("send_failed")).toBe(0);
  });

  test("again and again is counted and given up", () => {
    socket.kernel = "fails";
    receive("a");
    socket.kernel = "takes";
    receive("b");
    expect(echoes()).toEqual(["b"]);
    expect(dropped("send_failed")).toBe(1);
    expect(rules.row[C.udpSentDatagrams]).toBe(3);
  });

  test("or is told later ends nothing", () => {
    const handler = endpoint.handlers.error!;
    Reflect.apply(handler, undefined, [new Error("ECONNREFUSED")]); // alone: Bun passes no socket
  });
});

describe("a kernel that takes no more", () => {
  test("gets what waits when it does, in order, and each once", () => {
    socket.once = ["is full"];
    receive("a");
    receive("b"); // the kernel has room again, but this one must not overtake
    expect(echoes()).toEqual([]);
    socket.once = ["takes", "is full"];
    drain();
    expect(echoes()).toEqual(["a"]);
    receive("c");
    drain();
    drain();
    receive("d");
    expect(echoes()).toEqual(["a", "b", "c", "d"]);
    expect(rules.row[C.udpSentDatagrams]).toBe(6);
  });

  test("keeps the banner of one session from another's", () => {
    socket.kernel = "is full";
    receive("hello", 4001);
    receive("hallo", 4002);
    socket.kernel = "takes";
    drain();
    expect(socket.sent.map(({ port }) => port)).toEqual([4001, 4001, 4002, 4002]);
    expect(socket.sent[0]!.text).toContain("Client: 127.0.0.1:4001\n");
    expect(socket.sent[2]!.text).toContain("Client: 127.0.0.1:4002\n");
  });

  test("makes a bounded number of datagrams wait; more are counted and dropped", () => {
    socket.kernel = "is full";
    for (let count = 0; count < 5000; count++) receive(`${count}`);
    expect(dropped("queue_full")).toBe(5000 - 4096);
    socket.kernel = "takes";
    drain();
    expect(echoes().length).toBe(4096);
    expect(echoes().at(-1)).toBe("4095");
  });

  test("makes a bounded number of bytes wait", () => {
    socket.kernel = "is full";
    const large = "x".repeat(65_507);
    for (let count = 0; count < 100; count++) receive(large);
    expect(dropped("queue_full")).toBe(100 - Math.floor((4 * 1024 * 1024) / 65_507));
    socket.kernel = "takes";
    drain();
    receive("after");
    expect(echoes().at(-1)).toBe("after");
    socket.kernel = "is full"; // and all of the room is free again
    for (let count = 0; count < 64; count++) receive(large);
    expect(dropped("queue_full")).toBe(100 - 64);
  });
});

test("addresses are told apart, known or new, whatever place they share", () => {
  const cache = new AddressCache();
  const texts = Array.from({ length: 5000 }, (_, at) => `10.${at >> 8}.${at & 255}.${at % 7}`);
  for (const text of [...texts, ...texts.toReversed(), "::1", "fe80::1%eth0", "::1"]) {
    expect(cache.get(text)).toEqual(parseAddress(text)!);
  }
});
