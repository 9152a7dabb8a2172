import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { TcpClient } from "./clients/tcp.ts";
import { EchoServer, type Finished, MAIN, run, ServerProcess, startServer, until } from "./harness.ts";

const LINUX = process.platform === "linux";

const THROW = fileURLToPath(new URL("./preloads/throw.ts", import.meta.url));

/** One complaint, on standard error, and nothing else. */
function expectOneLine({ stdout, stderr }: Finished, part: string): void {
  expect(stderr).toContain(part);
  expect(stderr).toMatch(/^echo-server: [^\n]+\n$/);
  expect(stdout).toBe("");
}

describe("a wrong command line ends with 2 and one line", () => {
  const wrong: [string, string[], Record<string, string>][] = [
    ["--frobnicate", ["--frobnicate"], {}],
    ["--tcp-port 70000 is not allowed; allowed: a port from 0", ["--tcp-port", "70000"], {}],
    ["--tcp-idle-timeout 5 parsecs", ["--tcp-idle-timeout", "5 parsecs"], {}],
    ["--tcp-port off and --udp-port off", ["--tcp-port", "off", "--udp-port", "off"], {}],
    ["ECHO_UDP_PORT=many", [], { ECHO_UDP_PORT: "many" }],
    ["ECHO_POD_NAME", ["--banner-fields", "pod"], {}],
    ["ECHO_TPC_PORT is unknown (did you mean ECHO_TCP_PORT?)", [], { ECHO_TPC_PORT: "1" }],
    ["unknown command", ["serve-me"], {}],
  ];
  for (const [part, args, env] of wrong) {
    test(part, async () => {
      const finished = await run(args, { env });
      expect(finished.exitCode).toBe(2);
      expectOneLine(finished, part);
    });
  }
});

describe.if(LINUX)("a result that cannot be told", () => {
  const asked = "udp://127.0.0.1:9";
  const commands: [string, string[]][] = [
    ["check", ["check", asked, "--flows", "1", "--count", "1", "--timeout", "200ms"]],
    ["check --json", ["check", asked, "--flows", "1", "--count", "1", "--timeout", "200ms", "--json"]],
    ["watch", ["watch", asked, "--duration", "300ms"]],
    ["--help", ["--help"]],
  ];
  test.each(commands)("because the disk is full ends with 1 and one line: %s", async (_name, args) => {
    const full = openSync("/dev/full", "w");
    const child = Bun.spawn([process.execPath, MAIN, ...args], { stdout: full, stderr: "pipe" });
    closeSync(full);
    expect(await child.stderr.text()).toBe("echo-server: standard output cannot be written: ENOSPC\n");
    expect(await child.exited).toBe(1);
  });

  test.each(commands)("because nobody reads any more is no fault: %s", async (_name, args) => {
    const shell = ["sh", "-c", '"$@" | true', "sh", process.execPath, MAIN, ...args];
    const child = Bun.spawn(shell, { stdout: "pipe", stderr: "pipe" });
    expect(await child.stderr.text()).toBe("");
    expect(await child.exited).toBe(0);
  });
});

describe("a fault of the machine ends with 1 and one line", () => {
  test("a port in use: TCP, UDP, admin", async () => {
    await using first = await startServer(["--host", "127.0.0.1"]);
    const taken: [string, number][] = [
      ["tcp", first.tcpPort],
      ["udp", first.udpPort],
      ["admin", first.adminPort],
    ];
    for (const [name, port] of taken) {
      const others = ["tcp", "udp", "admin"].filter((other) => other !== name);
      const free = others.flatMap((other) => [`--${other}-port`, "0"]);
      const finished = await run(["--host", "127.0.0.1", `--${name}-port`, String(port), ...free]);
      expect(finished.exitCode).toBe(1);
      expectOneLine(finished, `${name} 127.0.0.1:${port}: the port is in use`);
    }
  });

  test("an address that is not this host's", async () => {
    const finished = await run([
      "--host",
      "192.0.2.254",
      "--tcp-port",
      "0",
      "--udp-port",
      "0",
      "--admin-port",
      "0",
    ]);
    expect(finished.exitCode).toBe(1);
    expectOneLine(finished, "192.0.2.254");
  });

  test.if(LINUX)("no permission for a port below 1024", async () => {
    // A network namespace of its own has the kernel's own limit, whatever this machine's is set to.
    const command = [...ownNetwork(), "setpriv", "--bounding-set=-net_bind_service", process.execPath, MAIN];
    const finished = await run(["--host", "0.0.0.0", "--tcp-port", "7", "--udp-port", "off"], { command });
    expect(finished.exitCode).toBe(1);
    expectOneLine(finished, "tcp 0.0.0.0:7: no permission");
  });

  test("an error that nobody foresaw", async () => {
    await using server = await startServer([], { command: [process.execPath, "--preload", THROW, MAIN] });
    const { exitCode, stderr } = await server.stop("SIGUSR1");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^echo-server: unexpected error: fault of a test[^\n]*\n$/);
  });
});

test.if(LINUX)("where there is no IPv6 it listens on 0.0.0.0", async () => {
  await using server = new EchoServer(["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"], {
    command: [
      ...ownNetwork(),
      "sh",
      "-c",
      `ip link set lo up && ip -6 address flush dev lo && exec "$@"`,
      "sh",
      process.execPath,
      MAIN,
    ],
  });
  await server.ready();
  for (const [address] of [server.tcp, server.udp, server.admin])
    expect(address).toMatch(/^(0\.0\.0\.0|127\.0\.0\.1):\d+$/);
});

test.if(LINUX)("as PID 1, where the kernel ignores signals that nobody handles", async () => {
  await using server = new EchoServer(["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"], {
    command: [...ownProcesses(), process.execPath, MAIN],
  });
  await server.ready();
  const [child] = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "latin1").split(" ");
  expect(readFileSync(`/proc/${child}/status`, "latin1")).toMatch(/^NSpid:\s+\d+\s+1$/m);
  process.kill(Number(child), "SIGTERM");
  expect(await server.exited).toBe(0);
  expect(server.log.at(-1)).toMatchObject({ msg: "stopped" });
});

test.if(LINUX)(
  "as PID 1, from the moment SIGTERM is caught none is lost, however early it comes",
  async () => {
    const ports = ["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"];
    for (const delayMs of [0, 0, 1, 2, 5, 10, 20, 40, 80, 160]) {
      await using server = new EchoServer(ports, { command: [...ownProcesses(), process.execPath, MAIN] });
      let child = "";
      await until("it catches SIGTERM", () => {
        [child] = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "latin1").split(" ") as [
          string,
        ];
        return child !== "" && isFirst(child) && catchesSigterm(child);
      });
      await Bun.sleep(delayMs); // wherever its start is by then
      process.kill(Number(child), "SIGTERM");
      expect([delayMs, await server.exited, server.stderr]).toEqual([delayMs, 0, ""]);
    }
  },
);

test.if(LINUX)("SIGTERM is caught before the program is loaded, far sooner than it is ready", async () => {
  const shares: number[] = []; // of the time until it is ready
  for (let starts = 0; starts < 5; starts++) {
    const startMs = performance.now();
    await using server = new EchoServer(["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"]);
    while (!catchesSigterm(String(server.pid)));
    const caughtMs = performance.now() - startMs;
    await server.ready();
    shares.push(caughtMs / (performance.now() - startMs));
  }
  expect(Math.min(...shares)).toBeLessThan(0.3);
});

test.if(LINUX)("a signal ends `health` as it ends any command", async () => {
  await using server = await startServer();
  server.kill("SIGSTOP"); // nobody answers for now
  await using health = new ServerProcess(["health", "--admin-port", String(server.adminPort)]);
  await until("it catches SIGTERM", () => catchesSigterm(String(health.pid)));
  health.kill("SIGTERM");
  expect(await health.exited).toBe(143);
  server.kill("SIGCONT");
});

/** Whether the process is PID 1 of its own namespace, and no more the program that made that. */
function isFirst(pid: string): boolean {
  const status = readOr(`/proc/${pid}/status`);
  return /^NSpid:\s+\d+\s+1$/m.test(status) && !readOr(`/proc/${pid}/comm`).startsWith("unshare");
}

/** By the mask of signals that have a handler (proc(5), SigCgt); SIGTERM is 15. */
function catchesSigterm(pid: string): boolean {
  const [, mask] = /^SigCgt:\s+([0-9a-f]+)$/m.exec(readOr(`/proc/${pid}/status`)) ?? [];
  return mask !== undefined && (BigInt(`0x${mask}`) & (1n << 14n)) !== 0n;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has not begun, or has ended
  }
}

describe("limits of the machine", () => {
  test("the session cap fits the open-file limit, and more than that is warned of", async () => {
    await using fits = await startServer([], { openFiles: 1024 });
    expect(fits.log[0]).toMatchObject({ msg: "ready", maxTcpSessions: 1024 - 128 });
    await using more = await startServer(["--max-tcp-sessions", "5000"], { openFiles: 1024 });
    expect(more.log[0]).toMatchObject({ level: "warn", maxTcpSessions: 5000, room: 1024 - 128 });
  });
});

describe("health", () => {
  test("asks the running server; 0 for yes, 1 for no or nobody, one line each", async () => {
    await using server = await startServer(["--drain-timeout", "1h"]);
    // A proxy of the environment has no business between the two: nobody is at this one.
    const env = { ECHO_ADMIN_PORT: String(server.adminPort), HTTP_PROXY: "http://127.0.0.1:1" };
    expect(await run(["health"], { env })).toEqual({ exitCode: 0, stdout: "ready\n", stderr: "" });
    expect(await run(["health", "live"], { env })).toEqual({ exitCode: 0, stdout: "live\n", stderr: "" });
    using client = await TcpClient.connect(server.tcpPort);
    await client.greeted();
    expect(await client.echoes("stay")).toBe(true);
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    expect(await run(["health"], { env })).toEqual({
      exitCode: 1,
      stdout: "not ready: draining\n",
      stderr: "",
    });
    client.halfClose();
    await server.exited;
    const nobody = await run(["health", "--admin-port", String(server.adminPort)]);
    expect(nobody).toMatchObject({
      exitCode: 1,
      stdout: `no connection: refused at 127.0.0.1:${server.adminPort}\n`,
    });
  });
});

test("--version names the version and Bun's", async () => {
  const { exitCode, stdout } = await run(["--version"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^echo-server \d+\.\d+\.\d+ \(Bun \d+\.\d+\.\d+.*\)\n$/);
});

/** Runs what follows in a network namespace of its own, where nothing is up. */
function ownNetwork(): string[] {
  return process.getuid!() === 0 ? ["unshare", "--net"] : ["unshare", "--net", "--map-root-user"];
}

/** Runs what follows as PID 1. */
function ownProcesses(): string[] {
  const command = ["unshare", "--pid", "--fork", "--kill-child"];
  return process.getuid!() === 0 ? command : [...command, "--map-root-user"];
}
