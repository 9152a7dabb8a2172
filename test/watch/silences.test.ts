import { expect, test } from "bun:test";
import type { Line } from "../../src/diagnose/watch/line.ts";
import { sendTo } from "../clients/send-to.ts";
import { run } from "../harness.ts";

/** What is called silent, stuck and an outage, by an echo that answers when a test wants it to. */

/** A plain echo. @param answers asked of each datagram: how many came from its port before, and how many ports there were */
async function choosy(answers: (before: number, portsBefore: number) => boolean) {
  const ports = new Map<number, number>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(socket, bytes, port, address) {
        const before = ports.get(port) ?? 0;
        const portsBefore = [...ports.keys()].indexOf(port);
        ports.set(port, before + 1);
        if (answers(before, portsBefore === -1 ? ports.size - 1 : portsBefore))
          sendTo(socket, bytes, port, address);
      },
      error() {},
    },
  });
  return { target: `udp://127.0.0.1:${socket.port}`, [Symbol.dispose]: () => socket.close() };
}

/** A plain echo that takes its time, as a long way does. */
async function slow(ms: number) {
  const waiting = new Set<Timer>();
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(socket, bytes, port, address) {
        const copy = Uint8Array.from(bytes);
        waiting.add(setTimeout(() => sendTo(socket, copy, port, address), ms));
      },
      error() {}, // who gave up has closed the port
    },
  });
  const end = (): void => {
    for (const timer of waiting) clearTimeout(timer);
    socket.close();
  };
  return { target: `udp://127.0.0.1:${socket.port}`, [Symbol.dispose]: end };
}

async function watched(target: string, ...args: string[]) {
  const { stdout } = await run(["watch", target, ...args, "--json"]);
  const lines: Line[] = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const summary = lines.at(-1)!;
  if (summary.event !== "summary") throw new Error(stdout);
  return { events: lines.slice(0, -1), summary, flow: summary.flows["udp-fixed"]! };
}

test("nobody is silent who is not asked any more: an outage that goes on is as long as probes were sent", async () => {
  let isOver = false;
  using echo = await choosy(() => !isOver);
  const over = setTimeout(() => {
    isOver = true;
  }, 500);
  const { events, summary, flow } = await watched(
    ...[echo.target, "--probes", "udp-fixed", "--interval", "50ms"],
    ...["--timeout", "2s", "--duration", "1s"],
  );
  clearTimeout(over);
  expect(events.map(({ event }) => event)).toEqual(["answered"]);
  expect(flow).toMatchObject({ underWay: 0, outages: { count: 1 } });
  // The last two seconds it has only waited for what was under way.
  expect(flow.outages.totalMs).toBeLessThan(summary.seconds * 1000 - 2000);
});

test("a flow that had no answer yet and was not asked since new ones have is not stuck", async () => {
  // The first port is the held flow's: its first two datagrams are lost, and the next one is sent when that is certain.
  using echo = await choosy((before, portsBefore) => portsBefore > 0 || before >= 2);
  const { events } = await watched(
    ...[echo.target, "--probes", "udp-fixed,udp-new", "--interval", "50ms"],
    ...["--timeout", "1s", "--duration", "3s"],
  );
  const held = events.filter((line) => "flow" in line && line.flow === "udp-fixed");
  expect(held.map(({ event }) => event)).toEqual(["silent", "answered", "back"]);
});

test("answers that are later than --timeout are told as that, and not as a path that is gone", async () => {
  using echo = await slow(400);
  const args = ["--interval", "50ms", "--timeout", "100ms", "--duration", "3s"];
  const { events, flow } = await watched(echo.target, "--probes", "udp-fixed,udp-new", ...args);
  const held = events.filter((line) => "flow" in line && line.flow === "udp-fixed");
  expect(held).toHaveLength(1);
  expect(held[0]).toMatchObject({ event: "silent", why: "late" });
  expect(flow).toMatchObject({ answered: 0, outages: { count: 1 } });
  expect(flow.late).toBeGreaterThan(5);
});

test("nobody is stuck on a path that loses now and then, as other flows tell", async () => {
  // The first flow that has had five answers is answered no more; the other one loses each eighth; newcomers none.
  let victim: number | null = null;
  using echo = await choosy((before, portsBefore) => {
    if (before === 5) victim ??= portsBefore;
    return portsBefore !== victim && before % 8 !== 7;
  });
  const args = ["--interval", "50ms", "--timeout", "200ms", "--duration", "3s"];
  const { events } = await watched(echo.target, ...args);
  const names = events.map(({ event }) => event);
  expect(names).toContain("silent");
  expect(names).not.toContain("stuck");
});
