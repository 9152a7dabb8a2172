import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { CheckReport } from "../../src/diagnose/result.ts";
import {
  cleanEnvironment,
  type EchoServer,
  MAIN,
  run,
  ServerProcess,
  startServer,
  until,
} from "../harness.ts";
import { REPORT } from "./schema.ts";

/** The command as a person runs it. What it says of every fault is in test/net. */

const LINUX = process.platform === "linux";
const DARWIN = fileURLToPath(new URL("../preloads/darwin.ts", import.meta.url));

/** Little, so that it is soon over. */
const QUICK = ["--flows", "2", "--count", "3", "--bulk", "64KiB", "-i", "2ms"];

let server: EchoServer;
beforeAll(async () => {
  const env = { ECHO_POD_NAME: "server1-abc", ECHO_NODE_NAME: "node1" };
  server = await startServer(["--banner-fields", "pod,node"], { env });
});
afterAll(() => server[Symbol.asyncDispose]());

function targets(): string[] {
  return [`tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`];
}

async function json(
  args: readonly string[],
  options = {},
): Promise<{ exitCode: number; report: CheckReport }> {
  const { exitCode, stdout, stderr } = await run(["check", ...args, "--json"], options);
  expect(stderr).toBe("");
  return { exitCode, report: REPORT.parse(JSON.parse(stdout)) as CheckReport };
}

describe("against a server that is well", () => {
  test("words, exit code 0, nothing on stderr, no colours, no line over 100 columns", async () => {
    const { exitCode, stdout, stderr } = await run(["check", ...targets(), ...QUICK]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith(
      `tcp 127.0.0.1:${server.tcpPort}: well\n  answered     server1-abc on node1, `,
    );
    expect(stdout).toContain(`\nudp 127.0.0.1:${server.udpPort}: well\n`);
    expect(stdout).toMatch(/\nall well: 2 checks, [\d.]+ m?s\n$/);
    expect(stdout).not.toContain("\x1b");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  test("JSON has every field of the contract", async () => {
    const { exitCode, report } = await json([...targets(), ...QUICK]);
    expect(exitCode).toBe(0);
    expect(report).toMatchObject({ tool: "check", ok: true, attempts: 1 });
    const [tcp, udp] = report.results;
    expect(tcp).toMatchObject({
      protocol: "tcp",
      ok: true,
      flows: 2,
      flowsAnswered: 2,
      bulkBytes: 65_536,
      halfClose: "whole",
    });
    expect(udp).toMatchObject({
      protocol: "udp",
      ok: true,
      flows: 2,
      flowsAnswered: 2,
      sent: 6,
      received: 6,
      lost: 0,
    });
    for (const { servers } of report.results)
      expect(servers).toMatchObject([{ pod: "server1-abc", node: "node1", flows: 2 }]);
  });

  test("several targets and a name, in the order in which they were given", async () => {
    const [tcp, udp] = targets();
    const { report } = await json([udp!, `localhost:${server.tcpPort}`, tcp!, "-4", ...QUICK]);
    expect(report.results.map(({ target, protocol, name }) => `${target} ${protocol} ${name}`)).toEqual([
      `${udp} udp 127.0.0.1`,
      `localhost:${server.tcpPort} tcp localhost`,
      `localhost:${server.tcpPort} udp localhost`,
      `${tcp} tcp 127.0.0.1`,
    ]);
    expect(report.results.map(({ resolveMs }) => resolveMs !== null)).toEqual([false, true, true, false]);
  });

  test("by IPv6", async () => {
    const { report } = await json([
      `tcp://[::1]:${server.tcpPort}`,
      `udp://[::1]:${server.udpPort}`,
      ...QUICK,
    ]);
    expect(report.results.map(({ ok, address }) => [ok, address])).toEqual([
      [true, "::1"],
      [true, "::1"],
    ]);
  });
});

describe.if(LINUX)("many addresses", () => {
  test("more than are asked at once, each told in its place", async () => {
    const hosts = Array.from({ length: 40 }, (_, at) => `127.0.0.${at + 1}`);
    const args = [...hosts.map((host) => `udp://${host}:${server.udpPort}`), ...QUICK, "--flows", "1"];
    const { exitCode, report } = await json(args);
    expect([exitCode, report.results.map(({ address }) => address)]).toEqual([0, hosts]);
  });

  test("from one source port: one after the other has it", async () => {
    const free = await Bun.udpSocket({ hostname: "0.0.0.0" });
    const { port } = free;
    free.close();
    const ends = [
      `127.0.0.1:${server.udpPort}`,
      `127.0.0.2:${server.udpPort}`,
      `127.0.0.3:${server.udpPort}`,
    ];
    const args = [...ends.map((end) => `udp://${end}`), ...QUICK.slice(2), "--source-port", String(port)];
    const { exitCode, report } = await json(args);
    expect(exitCode).toBe(0);
    expect(report.results.map(({ ok, flows }) => [ok, flows])).toEqual(ends.map(() => [true, 1]));
  });
});

describe("how sockets are made", () => {
  test("by Bun alone: well, and what that leaves open is null and said", async () => {
    const { exitCode, report } = await json([...targets(), ...QUICK, "--engine", "bun"]);
    expect(exitCode).toBe(0);
    for (const { ok, tcp, hops, synRetransmits, servers, notes } of report.results) {
      expect({ ok, tcp, hops, synRetransmits }).toEqual({
        ok: true,
        tcp: null,
        hops: null,
        synRetransmits: null,
      });
      expect(servers).toMatchObject([{ pod: "server1-abc", flows: 2 }]);
      const open = notes.filter(({ code }) => code === "not_measured").map(({ says }) => says);
      expect(open.join()).toContain("not measured (needs Linux)");
    }
    const { stdout } = await run(["check", ...targets(), ...QUICK, "--engine", "bun"]);
    expect(stdout).toMatch(/\n {2}not measured .*MSS.* \(needs Linux\)\n/);
    expect(stdout).toMatch(/\n {2}not measured hops back.* \(needs\s+Linux\)\n/);
  });

  test("on a system that is not Linux it does so by itself, and cannot do otherwise", async () => {
    const command = [process.execPath, "--preload", DARWIN, MAIN];
    const { exitCode, report } = await json([...targets(), ...QUICK], { command });
    expect([exitCode, report.results.map(({ tcp, hops }) => [tcp, hops])]).toEqual([
      0,
      [
        [null, null],
        [null, null],
      ],
    ]);
    const linux = await run(["check", ...targets(), "--engine", "linux"], { command });
    expect(linux).toMatchObject({ exitCode: 1, stdout: "" });
    expect(linux.stderr).toBe(
      "echo-server: --engine linux: this machine's libc cannot be used; --engine bun works anywhere\n",
    );
  });

  test.if(LINUX)("by system calls, which tell more", async () => {
    const { exitCode, report } = await json([...targets(), ...QUICK, "--engine", "linux"]);
    const [tcp, udp] = report.results;
    expect(exitCode).toBe(0);
    expect(tcp).toMatchObject({ synRetransmits: 0, tcp: { retransmits: expect.any(Number) } });
    expect(tcp!.mtu!.there).toBeGreaterThan(0);
    expect(udp!.hops).toEqual({ there: null, back: 0 });
  });
});

/** A TCP server that takes every connection and never answers, or resets it. */
function deaf(act: "wait" | "reset", port = 0) {
  let connections = 0;
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(socket) {
        connections++;
        if (act === "reset") socket.terminate();
      },
      data() {},
    },
  });
  return {
    port: listener.port,
    connected: () => connections,
    [Symbol.dispose]: () => listener.stop(true),
  };
}

describe("a signal", () => {
  test("before a result ends it with 130 and without a word", async () => {
    using silent = deaf("wait");
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const before = silent.connected();
      await using child = new ServerProcess(["check", `tcp://127.0.0.1:${silent.port}`, "-W", "1h"]);
      await until("it has connected", () => silent.connected() > before);
      expect(await child.stop(signal)).toEqual({ exitCode: 130, stdout: "", stderr: "" });
    }
  });

  test("while it waits for better times ends it with what it found", async () => {
    using bad = deaf("reset");
    await using child = new ServerProcess([
      "check",
      `tcp://127.0.0.1:${bad.port}`,
      "--flows",
      "1",
      "--wait",
      "1h",
      "--json",
    ]);
    await until("it has begun again", () => bad.connected() > 1);
    const { exitCode, stdout, stderr } = await child.stop("SIGINT");
    expect([exitCode, stderr]).toEqual([1, ""]);
    expect(REPORT.parse(JSON.parse(stdout)).results[0]!.ok).toBe(false);
  });
});

describe("--wait", () => {
  test("asks until all is well", async () => {
    using bad = deaf("reset");
    const args = ["check", `tcp://127.0.0.1:${bad.port}`, ...QUICK, "--wait", "1h", "--json"];
    await using child = new ServerProcess(args);
    await until("it has begun again", () => bad.connected() > 2);
    bad[Symbol.dispose]();
    await using good = await startServer([
      "--host",
      "127.0.0.1",
      "--tcp-port",
      String(bad.port),
      "--udp-port",
      "off",
    ]);
    expect(good.tcpPort).toBe(bad.port);
    expect(await child.exited).toBe(0);
    const report = REPORT.parse(JSON.parse(child.stdout));
    expect(report.ok).toBe(true);
    expect(report.attempts).toBeGreaterThan(1);
    expect(report.seconds).toBeGreaterThan(1);
  });

  test("and no longer than it was told", async () => {
    using bad = deaf("reset");
    const { exitCode, report } = await json([
      `tcp://127.0.0.1:${bad.port}`,
      "--flows",
      "1",
      "--wait",
      "1500ms",
    ]);
    expect(exitCode).toBe(1);
    expect(report.attempts).toBeGreaterThan(1);
    expect(report.seconds).toBeGreaterThan(1.4);
  });
});

describe("on a terminal", () => {
  /** A command on a terminal, and all that this shows of it. */
  function start(args: readonly string[], env: Record<string, string> = {}) {
    const decoder = new TextDecoder();
    const shown = { text: "" };
    const child = Bun.spawn([process.execPath, MAIN, "check", ...args], {
      env: { ...cleanEnvironment({ NO_COLOR: undefined, TERM: "xterm", ...env }) },
      terminal: {
        cols: 120,
        rows: 40,
        data(_terminal, bytes) {
          shown.text += decoder.decode(bytes, { stream: true });
        },
      },
    });
    return { child, shown };
  }

  async function shown(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const { child, shown } = start(args, env);
    await child.exited;
    await until("the last line is shown", () => /(all well|not well): [^\n]*\n/.test(shown.text));
    return shown.text;
  }

  test("the words are in colour, but not where somebody said no", async () => {
    const args = [targets()[0]!, ...QUICK];
    expect(await shown(args)).toContain("\x1b[1;32mtcp 127.0.0.1");
    expect(await shown(args, { NO_COLOR: "1" })).not.toContain("\x1b[");
    expect(await shown(args, { TERM: "dumb" })).not.toContain("\x1b[");
  });

  test("who waits for longer sees how far it is, and nothing of it stays", async () => {
    using bad = deaf("reset");
    const text = await shown([`tcp://127.0.0.1:${bad.port}`, "--flows", "1", "--wait", "3s"], {
      NO_COLOR: "1",
    });
    expect(text).toMatch(/\d+ % {2}\d+ s {2}attempt \d+, before: reset/);
    const left = text.slice(text.lastIndexOf(", before: reset"));
    expect(left).toContain("\x1b[2Ktcp 127.0.0.1"); // the bar's line is cleared for the report
  });

  test("who has enough of it finds the terminal as it was", async () => {
    using silent = deaf("wait");
    const { child, shown } = start([`tcp://127.0.0.1:${silent.port}`, "-W", "1h"]);
    await until("there is a bar", () => shown.text.includes("%"));
    expect(shown.text).toContain("\x1b[?7l"); // lines do not wrap
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    await until("lines wrap again", () => shown.text.endsWith("\x1b[?7h\x1b8\x1b[1G\x1b[2K"));
  });

  test("who does not, sees no bar", async () => {
    expect(await shown([targets()[0]!, ...QUICK], { NO_COLOR: "1" })).not.toContain("%");
  });
});

describe("nobody reads what it says", () => {
  test("a closed standard output, and a reader that has gone: no word, no trace", async () => {
    for (const script of ['exec >&-; exec "$@"', 'set -o pipefail; "$@" | true']) {
      const command = ["bash", "-c", script, "bash", process.execPath, MAIN];
      expect(await run(["check", ...targets(), ...QUICK], { command })).toEqual({
        exitCode: 0,
        stdout: "",
        stderr: "",
      });
    }
  });

  test.if(LINUX)("a full pipe: it waits for its reader, and a signal ends that", async () => {
    const scratch = mkdtempSync("/tmp/echo-pipe-");
    const fifo = join(scratch, "pipe");
    await Bun.$`mkfifo ${fifo}`;
    const { O_RDWR, O_NONBLOCK } = constants;
    const both = openSync(fifo, O_RDWR | O_NONBLOCK);
    const filled = fill(both);
    const check = () =>
      Bun.spawn([process.execPath, MAIN, "check", ...targets(), ...QUICK], {
        env: cleanEnvironment(),
        stdin: "ignore",
        stdout: both,
        stderr: "pipe",
      });
    try {
      const given = check();
      await until("it is over and waits", () => isWriting(given.pid));
      given.kill("SIGTERM");
      expect(await given.exited).toBe(143);
      expect(await given.stderr.text()).toBe("");

      const patient = check();
      await until("it is over and waits", () => isWriting(patient.pid));
      let text = "";
      await until("all of it was read", () => {
        text += readNow(both);
        return text.slice(filled).includes("all well: 2 checks");
      });
      expect(await patient.exited).toBe(0);
      expect(text.slice(filled)).toStartWith("tcp 127.0.0.1");
    } finally {
      closeSync(both);
      rmSync(scratch, { recursive: true });
    }
  });
});

/** Fills a pipe. @returns the bytes that it took */
function fill(descriptor: number): number {
  const piece = Buffer.alloc(4096, "x");
  for (let written = 0; ; ) {
    try {
      written += writeSync(descriptor, piece);
    } catch {
      return written;
    }
  }
}

/** What is in a pipe now. */
function readNow(descriptor: number): string {
  const buffer = Buffer.alloc(65_536);
  try {
    return buffer.toString("utf8", 0, readSync(descriptor, buffer));
  } catch {
    return "";
  }
}

/** Whether a process has opened its standard output once more, as it does for its last words. */
function isWriting(pid: number): boolean {
  const links = Bun.spawnSync(["sh", "-c", `readlink /proc/${pid}/fd/*`]).stdout.toString();
  return links.split("\n").filter((link) => link.includes("echo-pipe-")).length > 1;
}
