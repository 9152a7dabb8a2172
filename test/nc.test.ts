import { beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { patternBytes } from "./clients/bytes.ts";
import { requireTools } from "./clients/tools.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** The programs that people have at hand, as they type them. */

beforeAll(requireTools, 300_000);

interface Typed {
  readonly stdout: string;
  readonly exitCode: number;
}

/** What a line of shell needs: `$TCP` and `$UDP` are the server's ports. */
function environment(server: EchoServer): Record<string, string> {
  const { PATH = "" } = process.env;
  return { PATH, LC_ALL: "C", TCP: String(server.tcpPort), UDP: String(server.udpPort) };
}

/** Runs a line of shell to its end. */
async function type(server: EchoServer, line: string): Promise<Typed> {
  const shell = Bun.spawn(["sh", "-c", line], {
    env: environment(server),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const [stdout, exitCode] = await Promise.all([shell.stdout.text(), shell.exited]);
  return { stdout, exitCode };
}

/** What a session with one line typed looks like, ports aside. */
function session(server: string, client: string, line: string): RegExp {
  const [s, c] = [server, client].map((text) => text.replaceAll(/[.[\]]/g, "\\$&"));
  return new RegExp(
    `^[A-Z][a-z]{2} [A-Z][a-z]{2} [1-9]\\d? \\d\\d:\\d\\d:\\d\\d UTC \\d{4}\nServer: ${s}\nClient: ${c}:\\d+\n\n${line}\n$`,
  );
}

describe("one line typed comes back after the banner:", () => {
  const lines: [line: string, host: string, port: "tcp" | "udp"][] = [
    ["printf 'Test1\\n' | nc -q1 127.0.0.1 $TCP", "127.0.0.1", "tcp"],
    ["printf 'Test1\\n' | nc -N 127.0.0.1 $TCP", "127.0.0.1", "tcp"],
    ["printf 'Test1\\n' | nc -N ::1 $TCP", "[::1]", "tcp"],
    ["printf 'Test1\\n' | socat - TCP:127.0.0.1:$TCP", "127.0.0.1", "tcp"],
    ["printf 'Test1\\n' | socat - TCP6:[::1]:$TCP", "[::1]", "tcp"],
    ["printf 'Test1\\n' | ncat 127.0.0.1 $TCP", "127.0.0.1", "tcp"],
    ["printf 'Test1\\n' | nc -u -w2 127.0.0.1 $UDP", "127.0.0.1", "udp"],
    ["printf 'Test1\\n' | nc -u -w2 ::1 $UDP", "[::1]", "udp"],
    ["printf 'Test1\\n' | socat -t2 - UDP:127.0.0.1:$UDP", "127.0.0.1", "udp"],
  ];

  test(`${lines.length} ways`, async () => {
    await using server = await startServer();
    const typed = await Promise.all(lines.map(([line]) => type(server, line)));
    for (const [at, [line, host, protocol]] of lines.entries()) {
      const port = protocol === "tcp" ? server.tcpPort : server.udpPort;
      const { stdout } = typed[at]!;
      expect({ line, stdout }).toEqual({
        line,
        stdout: expect.stringMatching(session(`${host}:${port}`, host, "Test1")),
      });
    }
  });
});

describe("line after line at the keyboard: one banner, each line once", () => {
  const commands = [
    "nc 127.0.0.1 $TCP",
    "nc -u 127.0.0.1 $UDP",
    "ncat -u 127.0.0.1 $UDP",
    "socat - UDP:127.0.0.1:$UDP",
  ];
  for (const command of commands) {
    test(command, async () => {
      await using server = await startServer();
      const port = command.includes("$TCP") ? server.tcpPort : server.udpPort;
      const seen = await atKeyboard(server, command, ["one", "two", "three"]);
      expect(seen).toMatch(session(`127.0.0.1:${port}`, "127.0.0.1", "one\ntwo\nthree"));
    });
  }
});

/** Types each line when the one before it has come back, and then leaves. Returns what was on the screen. */
async function atKeyboard(server: EchoServer, command: string, lines: readonly string[]): Promise<string> {
  const program = Bun.spawn(["sh", "-c", `exec ${command}`], {
    env: environment(server),
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  let screen = "";
  const reading = (async () => {
    for await (const chunk of program.stdout) screen += Buffer.from(chunk).toString("latin1");
  })();
  try {
    for (const line of lines) {
      program.stdin.write(`${line}\n`);
      program.stdin.flush();
      await until(`the echo of ${line}`, () => screen.endsWith(`\n${line}\n`));
    }
  } finally {
    program.kill(); // over UDP some of them would wait for ever
    await reading;
  }
  return screen;
}

test("a port check connects, and leaves nothing behind", async () => {
  await using server = await startServer();
  for (const protocol of ["", "-u "]) {
    const { exitCode } = await type(
      server,
      `nc -z ${protocol}-w1 127.0.0.1 $${protocol === "" ? "TCP" : "UDP"}`,
    );
    expect(exitCode).toBe(0);
  }
  expect((await type(server, "printf 'Test1\\n' | nc -N 127.0.0.1 $TCP")).stdout).toEndWith("\n\nTest1\n");
});

describe("20 MB come back the same, half-closed by the sender", () => {
  const programs = [
    ["nc", 'nc -N 127.0.0.1 "$TCP" < "$FILE" | tail -n +5 | sha256sum', 8],
    ["socat", 'socat -t30 - TCP:127.0.0.1:"$TCP" < "$FILE" | tail -n +5 | sha256sum', 2],
    ["ncat", 'ncat 127.0.0.1 "$TCP" < "$FILE" | tail -n +5 | sha256sum', 2],
  ] as const;

  for (const [program, line, times] of programs) {
    test(`through ${program}, ${times} times`, async () => {
      await using server = await startServer();
      const directory = await mkdtemp(join(tmpdir(), "echo-"));
      try {
        const file = join(directory, "20MB");
        const bytes = patternBytes(20_000_000);
        await Bun.write(file, bytes);
        const sum = `${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}  -\n`;
        for (let at = 0; at < times; at++) {
          expect((await type(server, `FILE='${file}'; ${line}`)).stdout).toBe(sum);
        }
      } finally {
        await rm(directory, { recursive: true });
      }
    });
  }
});
