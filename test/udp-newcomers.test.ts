import { afterEach, describe, expect, test } from "bun:test";
import { sendTo } from "./clients/send-to.ts";
import { udpFiguresIn } from "./e2e/udp-figures.ts";
import { UdpNewcomers } from "./e2e/udp-newcomers.ts";
import { startServer, until } from "./harness.ts";

/** The end-to-end tests' new UDP sessions, against the server and against one that does each thing wrong. */

const HOST = "127.0.0.1";
const BANNER = "Thu Nov 26 05:00:00 UTC 2026\nServer: 10.0.0.9:5678\nClient: 127.0.0.1:9\n\n";

/** What comes back of a payload, in order; `*` stands for itself. */
type Script = (payload: string, turn: number) => readonly string[];

/** Answers each datagram as the script says; what begins with `@` comes from another socket of its own, so astray. */
async function startScripted(script: Script): Promise<{ port: number } & Disposable> {
  let turn = 0;
  const other = await Bun.udpSocket({ hostname: HOST, socket: { error() {} } });
  const server = await Bun.udpSocket({
    hostname: HOST,
    socket: {
      data(socket, bytes, port, address) {
        for (const line of script(bytes.toString(), turn++)) {
          const astray = line.startsWith("@");
          sendTo(astray ? other : socket, astray ? line.slice(1) : line, port, address);
        }
      },
      error() {},
    },
  });
  return {
    port: server.port,
    [Symbol.dispose]() {
      server.close();
      other.close();
    },
  };
}

const open: UdpNewcomers[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** Newcomers to that port until it has met `turns` of them, then all that they found. */
async function newcomersTo(port: number, turns: number): Promise<UdpNewcomers> {
  const asked: string[] = [];
  const explain = async (server: string): Promise<string> => {
    asked.push(server);
    return `those of ${asked.length}`;
  };
  const newcomers = new UdpNewcomers([{ host: HOST, port }], explain, 1);
  open.push(newcomers);
  await until("the newcomers", () => newcomers.opened + newcomers.failures.length >= turns);
  await newcomers.stop();
  return newcomers;
}

const found = ({ astray, overtaken, unannounced, failures }: UdpNewcomers) => ({
  astray,
  overtaken: overtaken.length,
  unannounced: unannounced.length,
  failures: failures.length,
});

const WELL = { astray: 0, overtaken: 0, unannounced: 0, failures: 0 };

test("each is a session of the server's own, which counts a banner for each", async () => {
  await using server = await startServer();
  const newcomers = await newcomersTo(server.udpPort, 50);
  expect(found(newcomers)).toEqual(WELL);
  const { opened, banners, withheld } = udpFiguresIn(await server.metrics());
  expect(opened).toBe(newcomers.opened);
  expect(banners).toBe(newcomers.opened);
  expect(withheld).toEqual({ suppressed: 0, sessionless: 0, notSent: 0 });
});

test("a server without banners is found out, and its own figures say so", async () => {
  await using server = await startServer(["--udp-banner-rate", "0"]);
  const newcomers = await newcomersTo(server.udpPort, 1);
  expect(newcomers.failures[0]).toContain("no banner for newcomer 0, nor for the next one");
  expect(udpFiguresIn(await server.metrics())).toMatchObject({ opened: 2, banners: 0 });
});

describe("told apart is", () => {
  const well: Script = (payload) => [BANNER, payload];
  /** The third datagram is answered by `wrong`, all others well. */
  const third =
    (wrong: Script): Script =>
    (payload, turn) =>
      turn === 2 ? wrong(payload, turn) : well(payload, turn);

  const cases: [string, Script, Partial<typeof WELL>, string][] = [
    ["nothing, where all is well", well, {}, ""],
    ["a banner that does not come", (payload) => [payload], { unannounced: 1 }, "had one of 10.0.0.9:5678"],
    ["a banner that is overtaken", (payload) => [payload, BANNER], { overtaken: 1 }, "the banner after it"],
    ["an answer from elsewhere", (payload) => [`@${BANNER}`, `@${payload}`], { astray: 1 }, ""],
    ["an echo from elsewhere", (payload) => [BANNER, `@${payload}`], { astray: 1 }, ""],
    ["another echo", (payload) => [BANNER, `${payload}!`], { failures: 1 }, "not the echo of newcomer 2"],
    ["another's echo, from elsewhere", () => [BANNER, "@newcomer 1"], { failures: 1 }, "not the echo"],
    ["two banners", (payload) => [BANNER, BANNER, payload], { failures: 1 }, "not the echo"],
  ];
  test.each(cases)("%s", async (_, script, expected, says) => {
    using server = await startScripted(third(script));
    const newcomers = await newcomersTo(server.port, 6);
    expect(found(newcomers)).toEqual({ ...WELL, ...expected });
    const { overtaken, unannounced, failures } = newcomers;
    expect([...overtaken, ...unannounced, ...failures].join()).toContain(says);
  });

  test("an echo that does not come, after its banner", async () => {
    using server = await startScripted(third(() => [BANNER]));
    const newcomers = await newcomersTo(server.port, 4);
    expect(found(newcomers)).toEqual({ ...WELL, failures: 1 });
    expect(newcomers.failures[0]).toContain("timeout after the banner");
  });
});

test("no two have one source port, and none has one that the system gives", async () => {
  const ports: number[] = [];
  const server = await Bun.udpSocket({
    hostname: HOST,
    socket: {
      data(socket, bytes, port, address) {
        ports.push(port);
        sendTo(socket, BANNER, port, address);
        sendTo(socket, bytes, port, address);
      },
      error() {},
    },
  });
  try {
    const newcomers = await newcomersTo(server.port, 100);
    expect(found(newcomers)).toEqual(WELL);
    expect(new Set(ports).size).toBe(ports.length);
    expect(Math.max(...ports)).toBeLessThan(30_000);
  } finally {
    server.close();
  }
});
