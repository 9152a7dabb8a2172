import { describe, expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServerProcess, startServer, until } from "../harness.ts";
import { silentPort, targetsOf } from "./servers.ts";

/** Who reads what `watch` prints: somebody who has gone ends it, somebody who only does not read stops nothing. */

describe("a reader that has gone", () => {
  /** `watch ... | head -LINES`, as a shell with pipefail has it: what was read, its exit code, and its stderr. */
  const piped = async (args: readonly string[], lines: number) => {
    const line = [process.execPath, "src/main.ts", "watch", ...args].map((word) => `'${word}'`).join(" ");
    const script = `set -o pipefail; ${line} | head -${lines}`;
    await using child = new ServerProcess([], { command: ["bash", "-c", script] });
    const exitCode = await child.exited;
    return { exitCode, stderr: child.stderr, read: child.stdout.trimEnd().split("\n") };
  };

  test.each(["linux", "bun"])(
    "ends it, as if it had been asked to, and nothing is said of it (%s)",
    async (engine) => {
      await using server = await startServer(["--host", "127.0.0.1"]);
      const args = [...targetsOf(server), "--engine", engine];
      // The fifth line is the last one that comes while all is well: no later write tells that the reader has gone.
      for (const lines of [3, 5]) {
        const { exitCode, stderr, read } = await piped(args, lines);
        expect([exitCode, stderr, read.length]).toEqual([0, "", lines]);
      }
    },
  );

  test("before any answer is as Ctrl-C then is", async () => {
    const { port, close } = await silentPort();
    const args = [`udp://127.0.0.1:${port}`, "--timeout", "100ms", "--summary-every", "1s", "--json"];
    const { exitCode, stderr } = await piped(args, 1);
    close();
    expect([exitCode, stderr]).toEqual([130, ""]);
  });
});

test("output that nobody reads does not stop the probes, and at the end it is told how much is missing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "echo-watch-"));
  const pipe = join(folder, "pipe");
  await Bun.$`mkfifo ${pipe}`;
  const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK); // and does not read
  const { port, came, close } = await silentPort();
  // A summary a target each second: some 40 KB at once.
  const targets = Array.from({ length: 90 }, (_, at) => `udp://127.0.0.1:${at + 1}`);
  const args = [
    "watch",
    `udp://127.0.0.1:${port}`,
    ...targets,
    "--timeout",
    "50ms",
    "--summary-every",
    "1s",
    "--json",
  ];
  const child = Bun.spawn([process.execPath, "src/main.ts", ...args], {
    stdin: "ignore",
    stdout: reader,
    stderr: "pipe",
  });
  const written = Buffer.alloc(1024 * 1024);
  try {
    await until("it has asked for five seconds", () => came() > 60);
    child.kill("SIGTERM");
    await child.exited;
    expect(readSync(reader, written)).toBeGreaterThan(60_000); // of the 64 KiB that a pipe holds, whole pieces
    expect(await child.stderr.text()).toMatch(
      /^echo-server: not all was written, .* missing: nobody reads it\n$/,
    );
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    close();
    closeSync(reader);
    rmSync(folder, { recursive: true });
  }
});

test("a device without room ends it: what is left is not all", async () => {
  await using server = await startServer(["--host", "127.0.0.1"]);
  const line = [process.execPath, "src/main.ts", "watch", ...targetsOf(server), "--duration", "1s"].join(" ");
  await using child = new ServerProcess([], { command: ["sh", "-c", `${line} >/dev/full`] });
  expect(await child.exited).toBe(1);
  expect(child.stderr).toBe("echo-server: standard output cannot be written: ENOSPC\n");
});
