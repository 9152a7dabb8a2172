import { describe, expect, test } from "bun:test";
import type { Line, SummaryLine } from "../../src/diagnose/watch/line.ts";
import { sendTo } from "../clients/send-to.ts";
import { run, ServerProcess, startServer, until } from "../harness.ts";
import { silentPort, targetsOf } from "./servers.ts";

/** `watch` as a person or a script runs it. */

const FLOWS = ["tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new"];

function linesOf(stdout: string): Line[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function summariesOf(lines: readonly Line[]): SummaryLine[] {
  return lines.filter((line) => line.event === "summary");
}

describe.each(["linux", "bun"])("with sockets of %s", (engine) => {
  test("all well: every flow is answered once, nothing else is said, and it exits 0", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    const args = [...targetsOf(server), "--interval", "20ms", "--duration", "1500ms", "--engine", engine];
    const { exitCode, stdout, stderr } = await run(["watch", ...args, "--json"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const lines = linesOf(stdout);
    const events = lines.filter((line) => line.event !== "summary");
    expect(events.map(({ event }) => event)).toEqual(FLOWS.map(() => "answered"));
    for (const line of events) {
      expect(line.at).toBeGreaterThan(0);
      expect(new Date(line.time).toISOString()).toBe(line.time);
      expect(line.address).toBe("127.0.0.1");
      const { port } = new URL(line.target);
      expect(line.server).toBe(`127.0.0.1:${port}`);
      expect(line.ends).toEndWith(` > 127.0.0.1:${port}`);
      expect(line.seen).toBe(/ (\S+) > /.exec(line.ends!)![1]!); // no translation on loopback
    }
    const [tcp, udp] = summariesOf(lines);
    expect([tcp!.target, udp!.target]).toEqual(targetsOf(server));
    const flows = { ...tcp!.flows, ...udp!.flows };
    expect(Object.keys(flows)).toEqual(FLOWS);
    for (const [name, flow] of Object.entries(flows)) {
      expect(flow.sent).toBe(flow.answered);
      expect(flow.sent).toBeGreaterThan(name.endsWith("-new") ? 0 : 40);
      expect(flow).toMatchObject({ lost: 0, underWay: 0, outages: { count: 0, longestMs: 0, totalMs: 0 } });
      expect(flow.servers).toHaveLength(1);
      expect(flow.servers[0]!.to).toBeGreaterThanOrEqual(flow.servers[0]!.from);
    }
  });
});

test("for people: a line an event, and a table at the end, in no more than 100 columns", async () => {
  await using server = await startServer(["--host", "127.0.0.1"]);
  const { exitCode, stdout } = await run(["watch", `127.0.0.1:${server.udpPort}`, "--duration", "700ms"]);
  expect(exitCode).toBe(1); // nobody listens there by TCP
  expect(stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}udp-fixed {6}answered {5}by 127\.0\.0\.1:/m);
  expect(stdout).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}tcp-held {7}refused {6}.*nobody listens there/m);
  expect(stdout).toMatch(/^ +sent +answered +lost +outages +longest +in all/m);
  expect(stdout).toMatch(/^udp-connected +\d+ +\d+ +0 +0 /m);
  expect(stdout).not.toContain("\x1b");
});

test("a plain echo that says nothing of itself is watched as well", async () => {
  await using server = await startServer(["--host", "127.0.0.1", "--no-banner"]);
  const args = [...targetsOf(server), "--interval", "20ms", "--duration", "1500ms", "--json"];
  const { exitCode, stdout } = await run(["watch", ...args]);
  expect(exitCode).toBe(0);
  const answered = linesOf(stdout).filter(({ event }) => event === "answered");
  expect(answered).toHaveLength(5);
  for (const line of answered) expect(line).toMatchObject({ server: null, pod: null });
});

test("a held flow whose port the server knows from before gets no banner: another port is tried", async () => {
  // As our server does for a session that lives on: the first port of each flow is one that it knows.
  const known = new Set<number>();
  let held = 0;
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(socket, bytes, port, address) {
        if (!known.has(port) && ++held > 2)
          sendTo(
            socket,
            `Sun Jun 4 18:37:24 UTC 2023\nServer: 127.0.0.1:${socket.port}\nClient: ${address}:${port}\n\n`,
            port,
            address,
          );
        known.add(port);
        sendTo(socket, bytes, port, address);
      },
      error() {},
    },
  });
  const args = ["--probes", "udp-fixed,udp-connected", "--interval", "50ms", "--duration", "800ms", "--json"];
  const { exitCode, stdout } = await run(["watch", `udp://127.0.0.1:${socket.port}`, ...args]);
  socket.close();
  expect(exitCode).toBe(0);
  const lines = linesOf(stdout);
  expect(lines.map(({ event }) => event)).toEqual(["answered", "answered", "summary"]);
  for (const line of lines.slice(0, 2)) expect(line).toMatchObject({ server: `127.0.0.1:${socket.port}` });
  for (const flow of Object.values(summariesOf(lines)[0]!.flows)) expect(flow).toMatchObject({ lost: 0 });
});

describe("ends", () => {
  test("by Ctrl-C after an answer with 0 and the summary; so by SIGTERM", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      await using watching = new ServerProcess(["watch", ...targetsOf(server), "--json"]);
      await until("all are answered", () => watching.log.length === 5);
      const { exitCode, stdout } = await watching.stop(signal);
      expect(exitCode).toBe(0);
      expect(summariesOf(linesOf(stdout)).map(({ final }) => final)).toEqual([true, true]);
    }
  });

  test("by Ctrl-C before any answer with 130", async () => {
    const { port, came, close } = await silentPort();
    await using watching = new ServerProcess(["watch", `udp://127.0.0.1:${port}`, "--json"]);
    await until("it asks", () => came() > 0);
    const { exitCode, stdout } = await watching.stop("SIGINT");
    close();
    expect(exitCode).toBe(130);
    expect(summariesOf(linesOf(stdout))).toHaveLength(1);
  });

  test("by its duration with 1 where nothing was answered, and every probe is judged", async () => {
    const { port, arrivals, close } = await silentPort();
    const args = ["--interval", "20ms", "--timeout", "300ms", "--duration", "500ms", "--probes", "udp-fixed"];
    const { exitCode, stdout } = await run(["watch", `udp://127.0.0.1:${port}`, ...args, "--json"]);
    close();
    expect(exitCode).toBe(1);
    const flow = summariesOf(linesOf(stdout))[0]!.flows["udp-fixed"]!;
    expect(flow).toMatchObject({ answered: 0, underWay: 0, outages: { count: 1 } });
    // One until its fate is known, since two at once would race for an entry on the path; then each interval.
    expect(arrivals[1]! - arrivals[0]!).toBeGreaterThan(250);
    expect(flow.sent).toBeGreaterThan(2);
    expect([flow.lost, arrivals.length]).toEqual([flow.sent, flow.sent]);
  });
});

describe("the summary so far", () => {
  test("is printed at SIGUSR1, and the watch goes on", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    await using watching = new ServerProcess(["watch", targetsOf(server)[1]!, "--json"]);
    await until("all are answered", () => watching.log.length === 3);
    watching.kill("SIGUSR1");
    const first = await watching.waitForLog((line) => line["event"] === "summary");
    expect(first).toMatchObject({ final: false, flows: { "udp-fixed": { lost: 0 } } });
    const { exitCode, stdout } = await watching.stop("SIGINT");
    expect(exitCode).toBe(0);
    expect(summariesOf(linesOf(stdout)).map(({ final }) => final)).toEqual([false, true]);
  });

  test("is printed every so often, at times that do not drift", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    const args = ["--summary-every", "1s", "--duration", "3500ms", "--probes", "udp-new"];
    const { stdout } = await run(["watch", targetsOf(server)[1]!, ...args, "--json"]);
    const summaries = summariesOf(linesOf(stdout));
    expect(summaries.map(({ final }) => final)).toEqual([false, false, false, true]);
    expect(summaries.slice(0, 3).map(({ at }) => Math.floor(at))).toEqual([1, 2, 3]);
  });
});

describe("on a terminal", () => {
  const inTerminal = (args: readonly string[], env: Record<string, string> = {}) => {
    const line = [process.execPath, "src/main.ts", ...args].map((word) => `'${word}'`).join(" ");
    return new ServerProcess([], {
      command: ["script", "-qec", `stty cols 90 rows 40; exec ${line}`, "/dev/null"],
      env: { TERM: "xterm", ...env },
    });
  };

  test("each flow's status is redrawn in place below the log, and is gone at the end", async () => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    await using child = inTerminal(["watch", targetsOf(server)[1]!, "--duration", "1500ms"]);
    expect(await child.exited).toBe(0);
    expect(child.stdout).toContain("\x1b[3F\x1b[J");
    // What is left to see once everything was redrawn.
    const last = child.stdout.split("\x1b[3F\x1b[J").at(-1)!;
    expect(last).toContain("udp-connected");
    expect(last).not.toContain("\x1b");
    const status = child.stdout.split("\n").filter((line) => /^ {2}udp-/.test(line));
    expect(status.length).toBeGreaterThan(3);
  });

  test.each([
    ["a dumb one", [], { TERM: "dumb" }],
    ["--json", ["--json"], {}],
  ])("%s gets the log alone", async (_what, flags, env) => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    await using child = inTerminal(["watch", targetsOf(server)[1]!, "--duration", "700ms", ...flags], env);
    expect(await child.exited).toBe(0);
    expect(child.stdout).not.toContain("\x1b");
  });
});

describe("a wrong command line is refused in one line", () => {
  test.each([
    [["watch"], /missing required argument/],
    [["watch", "::1:", "-4"], /is not allowed/],
    [["watch", "127.0.0.1", "-4", "-6"], /-4 and -6 together/],
    [["watch", "127.0.0.1", "-6"], /IPv6 was asked for/],
    [["watch", "127.0.0.1", "--probes", "udp-old"], /--probes udp-old is not allowed.*tcp-held/],
    [["watch", "127.0.0.1", "--probes", "none"], /leaves nothing to do/],
    [["watch", "tcp://127.0.0.1", "--probes", "udp-new"], /leaves nothing to do for tcp:\/\/127\.0\.0\.1/],
    [["watch", "127.0.0.1", "--interval", "0s"], /--interval 0s is not allowed/],
  ])("%p", async (args, says) => {
    const { exitCode, stdout, stderr } = await run(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(says);
  });

  test("and a variable that nothing reads; the server's own are ignored", async () => {
    const wrong = await run(["watch", "127.0.0.1"], { env: { ECHO_WATCH_INTERVALL: "1s" } });
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain("did you mean ECHO_WATCH_INTERVAL?");
    await using server = await startServer(["--host", "127.0.0.1"]);
    const env = {
      ECHO_TCP_PORT: "tcp://10.0.0.1:1234",
      ECHO_WORKERS: "nonsense",
      ECHO_WATCH_DURATION: "500ms",
    };
    const { exitCode } = await run(["watch", targetsOf(server)[1]!], { env });
    expect(exitCode).toBe(0);
  });
});
