import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { closeLinuxSockets } from "../../../src/client/linux/sockets.ts";
import type { Sockets } from "../../../src/client/sockets.ts";
import type { CheckContext, CheckSettings } from "../../../src/diagnose/check/plan.ts";
import { checkTcp } from "../../../src/diagnose/check/tcp.ts";
import type { CheckResult, Problem, ProblemCode } from "../../../src/diagnose/result.ts";
import { type Endpoint, formatEndpoint } from "../../../src/net/endpoint.ts";
import { freePort, socatEcho } from "../../client/servers.ts";
import { requireTools } from "../../clients/tools.ts";
import { startServer, until } from "../../harness.ts";
import { startFaulty } from "../../net/servers/start-tcp.ts";
import { FAULTS, type FaultName, SLOW_MS } from "../../net/servers/tcp.ts";
import { end } from "../fixtures.ts";
import { codes, only } from "./fixtures.ts";
import { SOCKETS } from "./sockets.ts";

/** `check` by TCP against real servers on loopback: ours, socat's, and small ones that are wrong in one way. */

await requireTools();
afterAll(() => closeLinuxSockets());

const SETTINGS: CheckSettings = {
  flows: 4,
  count: 6,
  size: 64,
  intervalMs: 1,
  timeoutMs: 1500,
  bulkBytes: 300_000,
  mtu: false,
  source: {},
};

/** Bytes of a session: its first echoes, all of them, and these with the bulk. */
const SOME_BYTES = 4 * SETTINGS.size;
const ECHO_BYTES = SETTINGS.count * SETTINGS.size;
const BULK_END = ECHO_BYTES + SETTINGS.bulkBytes;
const TAIL_BYTES = 65_536;

const FLOW = /^tcp 127\.0\.0\.1:\d+ > 127\.0\.0\.1:\d+$/;

function check(
  target: Endpoint,
  sockets: Sockets,
  changed: Partial<CheckSettings> = {},
  { signal = new AbortController().signal, progress = () => {} }: Partial<CheckContext> = {},
): Promise<CheckResult> {
  const asked = {
    target: `tcp://${formatEndpoint(target)}`,
    protocol: "tcp" as const,
    name: "127.0.0.1",
    endpoint: target,
    resolveMs: null,
  };
  const context = { settings: { ...SETTINGS, ...changed }, sockets, signal, progress };
  return checkTcp(asked, context);
}

/** What a server of a fault must be found out as. */
interface Found {
  readonly fault: FaultName;
  /** After these bytes of a session it begins. */
  readonly bytes?: number;
  readonly code: ProblemCode;
  readonly facts?: Partial<Problem>;
  readonly says: string;
  readonly settings?: Partial<CheckSettings>;
}

const cut = { code: "half_close_cut", facts: { bytes: 1000, where: "far_end" } } as const;
const cutSays = `after our FIN the tail ended after 1,000 of ${TAIL_BYTES.toLocaleString("en-US")} bytes`;

const FOUND: readonly Found[] = [
  { fault: "silent", code: "silent", says: "all 4 sessions connected, then neither banner nor echo came" },
  {
    fault: "stalls",
    bytes: SOME_BYTES,
    code: "silent",
    says: "all 4 sessions fell silent after 256 echoed bytes",
  },
  {
    fault: "resets",
    bytes: SOME_BYTES,
    code: "reset",
    facts: { bytes: 256 },
    says: "reset after 256 echoed bytes",
  },
  {
    fault: "resetsAtOnce",
    code: "reset",
    facts: { bytes: 0 },
    says: "all 4 sessions were reset after 0 echoed",
  },
  {
    fault: "resetsEverySecond",
    code: "reset",
    facts: { bytes: 0 },
    says: "2 of 4 sessions were reset after 0",
  },
  {
    fault: "closes",
    bytes: SOME_BYTES,
    code: "closed",
    facts: { bytes: 256 },
    says: "all 4 sessions were closed by the other end after 256 echoed bytes",
  },
  {
    fault: "corrupts",
    bytes: SOME_BYTES,
    code: "corrupted",
    facts: { count: 4 },
    says: "all 4 sessions got changed bytes back: the first is byte 64 of echo 5 of 6",
  },
  {
    fault: "corrupts",
    bytes: ECHO_BYTES,
    code: "corrupted",
    facts: { count: 1 },
    says: "1 of 4 sessions got changed bytes back",
  },
  {
    fault: "foreign",
    code: "foreign",
    facts: { count: 4 },
    says: 'never sent from here, in place of echo 1 of 6: "HTTP/1.1 400 Bad Request"',
  },
  {
    fault: "foreignAtOnce",
    code: "foreign",
    facts: { count: 4 },
    says: 'all 4 sessions got bytes that were never sent from here, in place of echo 1 of 6: "HTTP/1.1 400',
  },
  {
    fault: "doubles",
    code: "duplicated",
    facts: { count: 4 },
    says: "got an earlier message again in place of echo 2",
  },
  { fault: "cutsTail", bytes: BULK_END + 1000, ...cut, says: `${cutSays}, by a FIN` },
  { fault: "resetsOnFin", bytes: BULK_END + 1000, ...cut, says: `${cutSays}, by a reset` },
  { fault: "forgetsTail", bytes: BULK_END + 1000, ...cut, says: `${cutSays}, with nothing more in` },
  {
    fault: "neverEnds",
    code: "half_close_no_end",
    facts: { where: "far_end" },
    says: "after our FIN all 65,536 bytes of the tail came, and no end in 3.50 s",
  },
  {
    fault: "stalls",
    bytes: ECHO_BYTES,
    code: "mtu_black_hole",
    facts: { direction: null, mtu: null },
    says: "the bulk stalled: 0 of 300,000 bytes came back",
    settings: { flows: 1 },
  },
  {
    fault: "stalls",
    bytes: ECHO_BYTES + 100_000,
    code: "silent",
    says: "the bulk stalled: 100,000 of 300,000 bytes came back",
  },
];

for (const [way, sockets] of SOCKETS) {
  describe(`by ${way}`, () => {
    test("our own server is well, with every figure", async () => {
      await using server = await startServer();
      const target = end(`127.0.0.1:${server.tcpPort}`);
      const result = await check(target, sockets);
      expect(result.problems).toEqual([]);
      expect(result).toMatchObject({
        ok: true,
        flows: 4,
        flowsAnswered: 4,
        servers: [{ server: formatEndpoint(target), pod: null, flows: 4 }],
        source: { own: "127.0.0.1", seen: ["127.0.0.1"], addressTranslated: false, portTranslated: false },
        destination: { asked: formatEndpoint(target), translated: false },
        sent: 24,
        received: 24,
        lost: 0,
        halfClose: "whole",
        bulkBytes: 300_000,
        hops: null,
      });
      for (const times of [result.connectMs, result.firstByteMs, result.rttMs]) {
        expect(times!.max).toBeGreaterThanOrEqual(times!.min);
        expect(times!.min).toBeGreaterThan(0);
      }
      if (sockets.bySystemCalls) {
        expect(result.notes).toEqual([]);
        expect(result).toMatchObject({
          synRetransmits: 0,
          tcp: { mss: expect.any(Number) },
          mtu: { there: 65_535 },
        });
        expect(result.tcp!.kernelRttMs).toBeGreaterThan(0);
      } else {
        expect(codes(result)).toEqual(["not_measured"]);
        expect(result).toMatchObject({ synRetransmits: null, tcp: null, mtu: null });
      }
    });

    test("a plain echo without a banner is well, socat's too, and who answered is not known", async () => {
      await using plain = await startFaulty("none");
      await using socat = await socatEcho("TCP");
      for (const { endpoint } of [plain, socat]) {
        const result = await check(endpoint, sockets);
        expect(result.problems).toEqual([]);
        expect(result).toMatchObject({
          ok: true,
          servers: null,
          source: { own: "127.0.0.1", seen: null, addressTranslated: null, portTranslated: null },
          destination: { translated: null },
          received: 24,
          halfClose: "whole",
          bulkBytes: 300_000,
        });
      }
    });

    test("a server that is slow, but in time, is well", async () => {
      await using server = await startFaulty("slow");
      const result = await check(server.endpoint, sockets, { flows: 2, count: 2 });
      expect(result).toMatchObject({ ok: true, received: 4, problems: [] });
      expect(result.rttMs!.min).toBeGreaterThan(SLOW_MS * 0.9);
    });

    for (const { fault, bytes, code, facts = {}, says, settings } of FOUND) {
      test.concurrent(`a server that ${fault}${bytes === undefined ? "" : ` after ${bytes} bytes`}: ${code}`, async () => {
        await using server = await startFaulty(fault, bytes);
        const result = await check(server.endpoint, sockets, settings);
        const problem = only(result.problems);
        expect(problem).toMatchObject({ code, ...facts });
        expect(problem.says).toContain(says);
        // Bun's sockets tell no port of a session that is reset before they say that it is there.
        const told = sockets.bySystemCalls || problem.bytes !== 0;
        expect(problem.flow).toMatch(told ? FLOW : /^tcp 127\.0\.0\.1(:\d+)? > 127\.0\.0\.1:\d+$/);
        expect(result.ok).toBe(false);
        const { sent, received, lost, corrupted, foreign, duplicated } = result;
        const wrong = corrupted + foreign + duplicated;
        // One byte beyond the echoes is wrong, and in no echo's place.
        expect(received + lost + (sent === received ? 0 : wrong)).toBe(sent);
      });
    }

    test("a server that closes at once: one problem, closed, or reset where all our bytes had come by then", async () => {
      await using server = await startFaulty("closesAtOnce");
      const problem = only((await check(server.endpoint, sockets)).problems);
      expect(["closed", "reset"]).toContain(problem.code);
      expect(problem).toMatchObject({ bytes: 0, where: "far_end" });
      expect(problem.says).toMatch(
        /^all 4 sessions were (closed|closed or reset|reset)\b.* after 0 echoed bytes$/,
      );
    });

    test("a server that is stopped: silent, of every session, and not longer than its patience asks for", async () => {
      await using server = await startServer();
      process.kill(server.pid, "SIGSTOP");
      await until("all its threads are stopped", async () =>
        (await threadStates(server.pid)).every((state) => state === "T"),
      );
      const startMs = performance.now();
      const result = await check(end(`127.0.0.1:${server.tcpPort}`), sockets, { flows: 10 });
      expect(only(result.problems)).toMatchObject({ code: "silent", where: "far_end" });
      expect(result).toMatchObject({
        ok: false,
        flows: 10,
        flowsAnswered: 0,
        sent: 10 * SETTINGS.count,
        received: 0,
        lost: 10 * SETTINGS.count,
      });
      expect(performance.now() - startMs).toBeLessThan(6 * SETTINGS.timeoutMs);
    });

    test("nobody listens: refused, and the ports are named where the system tells them", async () => {
      const target = end(`127.0.0.1:${freePort()}`);
      const result = await check(target, sockets);
      const problem = only(result.problems);
      expect(problem).toMatchObject({ code: "refused", by: null, where: "far_end" });
      const port = sockets.bySystemCalls ? ":\\d+" : "";
      expect(problem.flow).toMatch(new RegExp(`^tcp 127\\.0\\.0\\.1${port} > 127\\.0\\.0\\.1:\\d+$`));
      expect(result).toMatchObject({ flows: 4, flowsAnswered: 0, source: { own: "127.0.0.1" } });
    });

    test("a source port: one session from it, which can be had again at once", async () => {
      await using server = await startServer();
      const port = freePort();
      for (let visit = 0; visit < 2; visit++) {
        const result = await check(end(`127.0.0.1:${server.tcpPort}`), sockets, {
          flows: 1,
          source: { port },
        });
        expect(result.problems).toEqual([]);
        expect(result).toMatchObject({ flows: 1, halfClose: null, bulkBytes: 300_000 });
        expect(codes(result)).toContain("not_measured");
      }
    });

    test("a source port that is someone's: no_ports_here", async () => {
      await using server = await startServer();
      using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
      const source = { port: taken.port, address: end("127.0.0.1:0").address };
      const result = await check(end(`127.0.0.1:${server.tcpPort}`), sockets, { source });
      const problem = only(result.problems);
      expect(problem).toMatchObject({ code: "no_ports_here", where: "this_machine" });
      expect(problem.says).toContain(`source port ${taken.port} is not free`);
    });

    test("whoever has had enough gets what there is by then, and that it is not all", async () => {
      await using server = await startServer();
      const controller = new AbortController();
      const shares: number[] = [];
      const progress = (share: number): void => {
        shares.push(share);
        if (shares.length === 2) controller.abort();
      };
      const target = end(`127.0.0.1:${server.tcpPort}`);
      const result = await check(target, sockets, {}, { signal: controller.signal, progress });
      expect(shares).toEqual([0.25, 0.5]);
      expect(result).toMatchObject({ flows: 2, flowsAnswered: 2, sent: 12, received: 12, problems: [] });
      expect(result.notes.map(({ says }) => says)).toContain("the rest: not measured (interrupted)");
      const silent = await startFaulty("silent");
      await using _ = silent;
      const startMs = performance.now();
      const stopped = check(
        silent.endpoint,
        sockets,
        { timeoutMs: 60_000 },
        { signal: AbortSignal.timeout(200) },
      );
      expect(await stopped).toMatchObject({ ok: false, flows: 0, problems: [] });
      expect(performance.now() - startMs).toBeLessThan(30_000);
    });

    test("no bulk: the half-close is made all the same, and a bulk of 0 bytes is null", async () => {
      await using server = await startServer();
      const result = await check(end(`127.0.0.1:${server.tcpPort}`), sockets, { bulkBytes: 0 });
      expect(result).toMatchObject({ ok: true, halfClose: "whole", bulkBytes: null });
    });
  });
}

/** The state of each thread of a process, as proc(5) writes it. */
async function threadStates(pid: number): Promise<string[]> {
  const threads = readdirSync(`/proc/${pid}/task`);
  const stats = threads.map((thread) => Bun.file(`/proc/${pid}/task/${thread}/stat`).text());
  return (await Promise.all(stats)).map((stat) => /\) (\w)/.exec(stat)![1]!);
}

test("every fault there is has its verdict", () => {
  const byThemselves: FaultName[] = ["none", "slow", "closesAtOnce"];
  const tested = new Set<string>([...byThemselves, ...FOUND.map(({ fault }) => fault)]);
  expect(Object.keys(FAULTS).filter((name) => !tested.has(name))).toEqual([]);
});
