import { describe, expect, test } from "bun:test";
import { listenTcp } from "../src/engine/bind.ts";
import { BunTcp } from "../src/engine/bun/tcp.ts";
import { BLOCKED, ECHOING, LINGERING, LISTENER } from "../src/engine/linux/kinds.ts";
import { PROBE_DESCRIPTORS } from "../src/engine/linux/probes.ts";
import { LinuxTcp } from "../src/engine/linux/tcp.ts";
import type { TcpRules } from "../src/rules/tcp.ts";
import { Clock } from "../src/state/clock.ts";
import { C, TCP_CLOSES } from "../src/state/counters.ts";
import { makeSharedTables } from "../src/state/shared.ts";
import { EpollSet, EVENT_FD_WORD, EVENT_STRIDE_WORDS } from "../src/sys/epoll.ts";
import { loadLibc } from "../src/sys/libc.ts";
import { TcpClient } from "./clients/tcp.ts";
import { until } from "./harness.ts";
import { settings } from "./rules/fixtures.ts";

/** A bug that shows in one session costs that session: it is reset and counted, and no other one notices. */

/** Of this address a PROXY header is due, so its sessions go ways of their own through the rules. */
const PROXY = "127.0.0.2";

const SETTINGS = settings({
  hosts: ["127.0.0.1"],
  tcpPort: 0,
  proxyProtocol: "accept",
  proxyTrusted: [`${PROXY}/32`],
  proxyTimeoutMs: 300,
});

const DESCRIPTORS_MAX = 4096;

/** Time between two looks of the test's own loop at what came. */
const TURN_MS = 1;

/** An engine's TCP in this process, where a test can get at what it holds. */
interface Engine extends AsyncDisposable {
  readonly port: number;
  readonly rules: TcpRules;
  /** What it told of sessions. */
  readonly faults: unknown[];
}

interface LinuxEngine extends Engine {
  readonly tcp: LinuxTcp;
  /** What each descriptor is. */
  readonly kind: Uint8Array;
}

const makeTables = () => makeSharedTables(1, 0, [{ tcp: true, udp: false }]);

function startLinux(): LinuxEngine {
  const faults: unknown[] = [];
  const events = { onSession: null, onFault: (fault: unknown) => void faults.push(fault) };
  const clock = new Clock();
  const epoll = new EpollSet();
  const kind = new Uint8Array(DESCRIPTORS_MAX + PROBE_DESCRIPTORS);
  const listeners = listenTcp(["127.0.0.1"], 0, "alone");
  const start = { settings: SETTINGS, tables: makeTables(), index: 0 };
  const tcp = new LinuxTcp(start, clock, epoll, kind, listeners, events);
  const turn = (): void => {
    const count = epoll.wait(0);
    clock.tick();
    for (let at = 0; at < count; at++) {
      const fd = epoll.words[at * EVENT_STRIDE_WORDS + EVENT_FD_WORD]!;
      if (kind[fd] === ECHOING) tcp.readable(fd);
      else if (kind[fd] === LISTENER) tcp.acceptor.accept(fd);
      else tcp.notEchoing(kind[fd]!, fd);
    }
    tcp.tick();
  };
  const timer = setInterval(turn, TURN_MS);
  return {
    port: listeners[0]!.port,
    rules: tcp.rules,
    faults,
    tcp,
    kind,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      tcp.end();
      epoll.close();
      for (const { fd } of listeners) loadLibc().close(fd);
    },
  };
}

async function startBun(): Promise<Engine> {
  const faults: unknown[] = [];
  const events = { onSession: null, onFault: (fault: unknown) => void faults.push(fault) };
  const clock = new Clock();
  const start = { settings: SETTINGS, tables: makeTables(), index: 0, sockets: null };
  const tcp = new BunTcp(start, clock, events);
  const [bound] = await tcp.listen(0);
  const timer = setInterval(() => {
    clock.tick();
    tcp.tick();
  }, TURN_MS);
  return {
    port: bound!.port,
    rules: tcp.rules,
    faults,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await tcp.stop("cut");
    },
  };
}

const closedBy = ({ rules }: Engine, reason: (typeof TCP_CLOSES)[number]): number =>
  rules.row[C.tcpClosedBy + TCP_CLOSES.indexOf(reason)]!;

/** The session of `client` is reset for `fault`; that of `other` goes on. */
async function expectOneFault(engine: Engine, client: TcpClient, other: TcpClient): Promise<void> {
  expect(await client.ended).toBe("reset");
  expect(await other.echoes("alive")).toBe(true);
  expect(engine.faults.length).toBe(1);
  expect(closedBy(engine, "fault")).toBe(1);
  expect(engine.rules.active).toBe(1);
  expect(engine.rules.row[C.tcpOpened]! - engine.rules.row[C.tcpClosed]!).toBe(1);
}

const bug = (): never => {
  throw new Error("a bug");
};

for (const [name, start] of [
  ["linux", startLinux],
  ["bun", startBun],
] as const) {
  describe(name, () => {
    test("a handler that throws when bytes come", async () => {
      await using engine = await start();
      using other = await TcpClient.connect(engine.port);
      using client = await TcpClient.connect(engine.port, { from: PROXY });
      engine.rules.header = bug;
      client.send("x");
      await expectOneFault(engine, client, other);
    });

    test("a handler that throws when a time is over: others' times are looked after all the same", async () => {
      await using engine = await start();
      using other = await TcpClient.connect(engine.port);
      using client = await TcpClient.connect(engine.port, { from: PROXY });
      await until("its header is waited for", () => engine.rules.active === 2);
      const { headerEnd } = engine.rules;
      engine.rules.headerEnd = () => {
        engine.rules.headerEnd = headerEnd;
        return bug();
      };
      await expectOneFault(engine, client, other);
      using next = await TcpClient.connect(engine.port, { from: PROXY });
      await next.greeted();
    });
  });
}

describe("linux", () => {
  test("a table that says a session is owed bytes, and it is owed none", async () => {
    await using engine = startLinux();
    using other = await TcpClient.connect(engine.port);
    expect(await other.echoes("first")).toBe(true);
    const before = engine.kind.slice();
    using client = await TcpClient.connect(engine.port);
    expect(await client.echoes("second")).toBe(true);
    const fd = engine.kind.findIndex((kind, at) => kind === ECHOING && before[at] !== ECHOING);
    engine.kind[fd] = BLOCKED;
    client.send("x");
    await expectOneFault(engine, client, other);
  });

  test("an event that is stale when its session has been cut ends nothing", async () => {
    await using engine = startLinux();
    using client = await TcpClient.connect(engine.port);
    expect(await client.echoes("here")).toBe(true);
    engine.tcp.cut();
    const fd = engine.kind.indexOf(LINGERING);
    engine.tcp.notEchoing(LINGERING, fd); // of the same turn: nothing has come
    expect(engine.kind[fd]).toBe(LINGERING);
    expect(await client.ended).toBe("fin");
    await until("it is closed", () => closedBy(engine, "cut") === 1);
  });
});
