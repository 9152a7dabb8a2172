import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LineOutput } from "../src/sys/output.ts";
import { TcpClient } from "./clients/tcp.ts";
import { cleanEnvironment, MAIN, Metrics, until } from "./harness.ts";

/** A log that nobody reads: lines are lost, and counted; nothing else happens. */

const ENGINES = process.platform === "linux" ? ["bun", "linux"] : ["bun"];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "echo-log-"));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** A pipe whose reader reads only when it is told to. */
class Pipe implements Disposable {
  readonly writer: number;
  readonly #reader: number;
  text = "";

  /** @param closed nobody may open it again, as it is with a pipe that another user has made */
  constructor(closed = false) {
    const path = join(directory, `pipe-${crypto.randomUUID()}`);
    if (Bun.spawnSync(["mkfifo", path]).exitCode !== 0) throw new Error("mkfifo failed");
    this.#reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(path, constants.O_WRONLY); // blocks when it is full, as a container's does
    if (closed) chmodSync(path, 0);
  }

  /** Takes what is there now. */
  read(): string {
    const chunk = Buffer.alloc(65_536);
    try {
      for (let length = -1; length !== 0; ) {
        length = readSync(this.#reader, chunk);
        this.text += chunk.toString("utf8", 0, length);
      }
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
    return this.text;
  }

  [Symbol.dispose](): void {
    closeSync(this.#reader);
    try {
      closeSync(this.writer);
    } catch {
      // The test has closed it.
    }
  }
}

/** A server whose standard output is that pipe; ready, and the line that says so read. */
async function startOn(pipe: Pipe, args: readonly string[]) {
  const ports = ["--tcp-port", "0", "--udp-port", "off", "--admin-port", "0", "--host", "127.0.0.1"];
  const command = [...withoutOverride(), process.execPath, MAIN];
  const child = Bun.spawn([...command, ...ports, "--log-level", "debug", ...args], {
    env: cleanEnvironment(),
    stdin: "ignore",
    stdout: pipe.writer,
    stderr: "inherit",
  });
  await until("ready", () => pipe.read().includes("ready") && pipe.text.endsWith("\n"));
  const [tcp] = /(?<="tcp":\["127\.0\.0\.1:)\d+/.exec(pipe.text)!;
  const [admin] = /(?<="admin":\["127\.0\.0\.1:)\d+/.exec(pipe.text)!;
  const url = `http://127.0.0.1:${admin}`;
  const linesLost = async (): Promise<number> =>
    new Metrics(await (await fetch(`${url}/metrics`)).text()).get("echo_log_lines_lost_total");
  return {
    child,
    tcpPort: Number(tcp),
    linesLost,
    live: async () => (await fetch(`${url}/livez`)).status === 200,
    [Symbol.dispose]: () => child.kill("SIGKILL"),
  };
}

/** Runs what follows without root's right to open any file. */
function withoutOverride(): string[] {
  if (process.platform !== "linux" || process.getuid!() !== 0) return [];
  return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
}

/** So many sessions, each of which is two lines of the log. */
async function sessions(port: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += 50) {
    const some = Array.from({ length: 50 }, async () => {
      using client = await TcpClient.connect(port);
      client.halfClose();
      await client.ended;
    });
    await Promise.all(some);
  }
}

for (const engine of ENGINES) {
  for (const [format, closed] of [
    ["json", false],
    ["pretty", false],
    ["json", true],
  ] as const) {
    const kind = closed ? "a pipe that may not be opened again" : format;
    test(`${engine}, ${kind}: an unread log loses lines, says how many when it is read again, and stops nobody`, async () => {
      using pipe = new Pipe(closed);
      using server = await startOn(pipe, ["--engine", engine, "--log-format", format]);
      let count = 0;
      while ((await server.linesLost()) === 0) {
        await sessions(server.tcpPort, 1000);
        count += 1000;
        expect(await server.live()).toBe(true);
      }
      using client = await TcpClient.connect(server.tcpPort);
      expect(await client.echoes("still here")).toBe(true);
      await until("the gap is told", () => pipe.read().includes("log lines lost"));
      const lost = await server.linesLost();
      expect(pipe.text).toMatch(new RegExp(`"lines": ?${lost}\\b`));
      await sessions(server.tcpPort, 50);
      await until("all that was not lost", () => {
        const told = pipe.read().match(/session (?:opened|ended)/g)?.length ?? 0;
        return told === 2 * (count + 50) + 1 - lost; // one is still open
      });
      if (format === "json") for (const line of pipe.text.trimEnd().split("\n")) JSON.parse(line);
      client.halfClose();
      server.child.kill("SIGTERM");
      expect(await server.child.exited).toBe(0);
      expect(pipe.read()).toContain("stopped");
    });
  }

  test(`${engine}: SIGTERM ends it in good order, and a second one at once, though nobody reads`, async () => {
    for (const signals of [1, 2]) {
      using pipe = new Pipe();
      using server = await startOn(pipe, ["--engine", engine, "--drain-timeout", "1h"]);
      using client = await TcpClient.connect(server.tcpPort);
      expect(await client.echoes("stay")).toBe(true);
      await sessions(server.tcpPort, 1000); // more than the pipe takes
      server.child.kill("SIGTERM");
      await until("it drains", async () => !(await letsIn(server.tcpPort)));
      if (signals === 2) server.child.kill("SIGTERM");
      else client.halfClose();
      expect(await server.child.exited).toBe(signals === 2 ? 143 : 0);
    }
  });
}

/** Whether newcomers are let in. */
async function letsIn(port: number): Promise<boolean> {
  using client = await TcpClient.connect(port);
  return await client.echoes("?");
}

test("a complaint that nobody reads does not keep the process", async () => {
  using pipe = new Pipe();
  const filler = new LineOutput(pipe.writer);
  while (filler.waitingBytes === 0) filler.write(`${"x".repeat(4000)}\n`);
  const child = Bun.spawn([process.execPath, MAIN, "--frobnicate"], { stdin: "ignore", stderr: pipe.writer });
  expect(await child.exited).toBe(2);
});

describe("lines on a descriptor", () => {
  test("a pipe: written at once while it is read; one gap, told before what follows it", async () => {
    using pipe = new Pipe();
    const output = new LineOutput(pipe.writer);
    const gaps: number[] = [];
    output.onReaderBack = (lines) => {
      gaps.push(lines);
      output.write(`gap of ${lines}\n`);
    };
    output.write("first\n");
    expect(pipe.read()).toBe("first\n");
    let written = 1;
    for (; output.linesLost === 0; written++) output.write(`line ${written} ${"x".repeat(written % 9000)}\n`);
    for (let more = 0; more < 9; more++) output.write("lost\n");
    expect(output.linesLost).toBe(10);
    await until("the gap is told", () => pipe.read().includes("gap of 10\n"));
    output.write("last\n");
    await until("the last line", () => pipe.read().endsWith("last\n"));
    const lines = pipe.text.trimEnd().split("\n");
    expect(lines).toHaveLength(written + 1); // all that was not lost, the gap and the last
    for (const [at, line] of lines.slice(1, -2).entries()) {
      expect(line).toBe(`line ${at + 1} ${"x".repeat((at + 1) % 9000)}`);
    }
    expect(lines.slice(-2)).toEqual(["gap of 10", "last"]);
    expect(gaps).toEqual([10]);
  });

  test("whoever shares the pipe still has one that blocks", () => {
    using pipe = new Pipe();
    new LineOutput(pipe.writer).write("a line\n");
    const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pipe.writer}`, "latin1"))![1]!;
    expect(Number.parseInt(flags, 8) & constants.O_NONBLOCK).toBe(0);
  });

  test("a line that a closed descriptor or a full disk does not take is lost and counted, and the next is tried", () => {
    using pipe = new Pipe();
    const output = new LineOutput(pipe.writer);
    closeSync(pipe.writer);
    output.write("to a closed descriptor, or to the pipe opened once more\n");
    const full = openSync("/dev/full", constants.O_WRONLY);
    try {
      const disk = new LineOutput(full);
      disk.write("one\n");
      disk.write("two\n");
      expect(disk.linesLost).toBe(2);
      expect(disk.fault).toBe("ENOSPC");
    } finally {
      closeSync(full);
    }
  });

  test("a file is written where it is, and appended to where it was opened so", () => {
    for (const flags of ["w", "a"]) {
      const path = join(directory, `file-${flags}`);
      const file = openSync(path, flags);
      try {
        Bun.spawnSync(["sh", "-c", "echo before"], { stdout: file });
        new LineOutput(file).write("a line\n");
        Bun.spawnSync(["sh", "-c", "echo after"], { stdout: file });
        expect(readFileSync(path, "utf8")).toBe("before\na line\nafter\n");
      } finally {
        closeSync(file);
      }
    }
  });
});
