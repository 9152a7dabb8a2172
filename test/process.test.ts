import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  cleanEnvironment,
  EchoServer,
  type Finished,
  run,
  ServerProcess,
  startServer,
  until,
} from "./harness.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const LINUX = process.platform === "linux";

/** A TCP client that keeps what it gets. */
class Client implements Disposable {
  received = "";
  /** How it ended: `fin`, or the error's code. */
  readonly ended = Promise.withResolvers<string>();
  #socket: Bun.Socket | null = null;

  static async connect(port: number): Promise<Client> {
    const client = new Client();
    client.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      allowHalfOpen: true,
      socket: {
        data: (_socket, chunk) => {
          client.received += chunk.toString("latin1");
        },
        end: () => client.ended.resolve("fin"),
        close: (_socket, error) => client.ended.resolve(error === undefined ? "fin" : errorCode(error)),
      },
    });
    return client;
  }

  send(text: string): void {
    this.#socket!.write(text);
  }

  /** Sends and waits for the echo. */
  async echo(text: string): Promise<void> {
    this.send(text);
    await until(`echo of ${text}`, () => this.received.endsWith(text));
  }

  /** Sends a FIN, and still receives. */
  finish(): void {
    this.#socket!.shutdown();
  }

  [Symbol.dispose](): void {
    this.#socket?.terminate();
  }
}

function errorCode(error: Error): string {
  return "code" in error ? String(error.code) : error.message;
}

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
    await using server = await startServer(["--engine", "bun", "--workers", "1", "--fault-injection"]);
    const { exitCode, stderr } = await server.stop("SIGUSR2");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^echo-server: unexpected error: fault injected[^\n]*\n$/);
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

describe("SIGTERM and SIGINT", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`${signal} without sessions: out at once, with 0`, async () => {
      await using server = await startServer();
      const { exitCode, stderr } = await server.stop(signal);
      expect(exitCode).toBe(0);
      expect(stderr).toBe("");
      expect(server.log.map(({ msg }) => msg)).toEqual(["ready", "draining", "drained", "stopped"]);
      expect(server.log[1]).toMatchObject({ signal, tcpSessions: 0 });
      expect(server.log[2]).toMatchObject({ finished: 0, cut: 0 });
    });
  }

  test("sessions may finish, newcomers are turned away, readiness fails, and the log counts", async () => {
    await using server = await startServer(["--drain-timeout", "1h"]);
    using one = await Client.connect(server.tcpPort);
    using two = await Client.connect(server.tcpPort);
    await one.echo("before");
    await two.echo("before");
    expect((await server.fetch("/readyz")).status).toBe(200);
    const active = async () => (await server.metrics()).get("echo_sessions_active", { protocol: "tcp" });
    await until("the end of readyz's own session", async () => (await active()) === 2);
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    const ready = await server.fetch("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.text()).toBe("not ready: draining\n");
    expect((await server.fetch("/livez")).status).toBe(200);
    await one.echo("while draining");
    await expectTurnedAway(server.tcpPort);
    one.finish();
    two.finish();
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 2, cut: 0 });
  });

  test("what has not finished by the drain timeout is cut, by a FIN after what it is owed", async () => {
    await using server = await startServer(["--drain-timeout", "300ms"]);
    using idle = await Client.connect(server.tcpPort);
    using done = await Client.connect(server.tcpPort);
    await idle.echo("idle");
    await done.echo("done");
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    done.finish();
    expect(await idle.ended.promise).toBe("fin");
    idle.finish();
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 1, cut: 1 });
  });

  test("of 1,000 sessions in flight none loses a byte it is owed", async () => {
    await using server = await startServer(["--drain-timeout", "1h", "--no-banner", "--udp-port", "off"]);
    const piece = "0123456789abcdef".repeat(512); // 8 KiB, which the kernel takes at once
    const clients: Client[] = [];
    try {
      while (clients.length < 1000) {
        const batch = Array.from({ length: 50 }, () => Client.connect(server.tcpPort));
        clients.push(...(await Promise.all(batch)));
      }
      for (const client of clients) client.send(piece);
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      for (const client of clients) {
        client.send(piece);
        client.finish();
      }
      for (const client of clients) {
        expect(await client.ended.promise).toBe("fin");
        expect(client.received.length).toBe(2 * piece.length);
        expect(client.received).toBe(piece + piece);
      }
      expect(await server.exited).toBe(0);
      expect(await server.waitForLog("drained")).toMatchObject({ finished: 1000, cut: 0 });
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  });

  test("a client that does not answer the FIN does not hold the end up", async () => {
    await using server = await startServer(["--drain-timeout", "0s"]);
    using deaf = await Client.connect(server.tcpPort);
    await deaf.echo("here");
    const { exitCode } = await server.stop();
    expect(exitCode).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 0, cut: 1 });
  });

  test("UDP sessions go on while they are busy, and new ones are refused", async () => {
    await using server = await startServer(["--tcp-port", "off", "--drain-timeout", "1h"]);
    const echoes: string[] = [];
    const open = (sink: string[]) =>
      Bun.udpSocket({
        connect: { hostname: "127.0.0.1", port: server.udpPort },
        socket: { data: (_socket, datagram) => void sink.push(datagram.toString("latin1")), error() {} },
      });
    const known = await open(echoes);
    const strangers: string[] = [];
    const stranger = await open(strangers);
    try {
      known.send("first");
      await until("the first echo", () => echoes.includes("first"));
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      for (let round = 0; round < 15; round++) {
        stranger.send("new");
        known.send(`round ${round}`);
        await until(`echo of round ${round}`, () => echoes.includes(`round ${round}`));
        await Bun.sleep(100); // busy for longer than the second of silence that ends UDP's drain
      }
      expect(server.log.some(({ msg }) => msg === "drained")).toBe(false);
      expect(strangers).toEqual([]);
      expect(
        (await server.metrics()).get("echo_refused_total", { protocol: "udp", reason: "draining" }),
      ).toBe(15);
    } finally {
      known.close();
      stranger.close();
    }
    expect(await server.exited).toBe(0); // in the silence after it
  });

  test("a second signal ends it at once", async () => {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      await using server = await startServer(["--drain-timeout", "1h"]);
      using client = await Client.connect(server.tcpPort);
      await client.echo("stay");
      server.kill("SIGTERM");
      await server.waitForLog("draining");
      expect((await server.stop(signal)).exitCode).toBe(code);
      expect(server.log.some(({ msg }) => msg === "drained")).toBe(false);
    }
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
});

describe("the log", () => {
  test("one JSON line per event: ISO time, level by name, every bound address, and why this engine", async () => {
    await using server = await startServer(["--host", "127.0.0.1", "--host", "::1", "--workers", "1"]);
    const [ready] = server.log;
    expect(ready).toMatchObject({
      level: "info",
      msg: "ready",
      workers: 1,
      engineReason: expect.any(String),
    });
    expect(new Date(ready!.time).toISOString()).toBe(ready!.time);
    const port = (address: string | undefined) => address!.slice(address!.lastIndexOf(":") + 1);
    for (const bound of [server.tcp, server.udp, server.admin]) {
      expect(bound).toHaveLength(2);
      expect(bound[0]).toStartWith("127.0.0.1:");
      expect(bound[1]).toStartWith("[::1]:");
      expect(port(bound[0])).toBe(port(bound[1]));
    }
    const { stdout } = await server.stop();
    for (const line of stdout.trimEnd().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  });

  test("sessions at debug, never a payload", async () => {
    await using server = await startServer(["--log-level", "debug"]);
    {
      using client = await Client.connect(server.tcpPort);
      await client.echo("a secret");
      client.finish();
      expect(await client.ended.promise).toBe("fin");
    }
    const line = await server.waitForLog("session ended");
    expect(line).toMatchObject({ level: "debug", protocol: "tcp", reason: "client" });
    expect(line["client"]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(line["server"]).toBe(`127.0.0.1:${server.tcpPort}`);
    expect(line["seconds"]).toBeNumber();
    const { stdout, stderr } = await server.stop();
    expect(stdout + stderr).not.toContain("secret");
  });

  test("a misspelt variable is warned of, a Service's is not", async () => {
    await using server = await startServer([], {
      env: {
        ECHO_TPC_PORT: "1",
        ECHO_SERVER_PORT: "tcp://10.0.0.1:1234",
        ECHO_TCP_PORT: "tcp://10.0.0.2:1234",
      },
    });
    const warnings = server.log.filter(({ level }) => level === "warn");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ variable: "ECHO_TPC_PORT" });
  });

  test("pretty on a terminal, and where it is asked for", async () => {
    const args = ["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"];
    await using asked = new ServerProcess([...args, "--log-format", "pretty"]);
    await until("a pretty line", () => asked.stdout.includes("ready"));
    expect(asked.stdout).toMatch(/INFO.*: ready\n/);
    expect(asked.log).toEqual([]);
    expect((await asked.stop()).exitCode).toBe(0);

    const line = [process.execPath, MAIN, ...args].join(" ");
    await using terminal = new ServerProcess([], {
      command: ["script", "-qefc", `exec ${line}`, "/dev/null"],
    });
    await until("a pretty line", () => terminal.stdout.includes("ready"));
    expect(terminal.stdout).toMatch(/INFO.*ready/);
    expect(terminal.log).toEqual([]);
  });

  test("the server outlives the reader of its log", async () => {
    const child = Bun.spawn(
      [process.execPath, MAIN, "--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"],
      {
        env: cleanEnvironment(),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    try {
      const reader = child.stdout.getReader();
      const { value } = await reader.read();
      const { tcp } = JSON.parse(new TextDecoder().decode(value));
      await reader.cancel();
      child.kill("SIGTERM"); // three more lines, that nobody reads
      expect(await child.exited).toBe(0);
      expect(tcp).toHaveLength(1);
      expect(await child.stderr.text()).toBe("");
    } finally {
      child.kill("SIGKILL");
    }
  });
});

describe("limits of the machine", () => {
  test("the session cap fits the open-file limit, and more than that is warned of", async () => {
    await using fits = await startServer([], { openFiles: 1024 });
    expect(fits.log[0]).toMatchObject({ msg: "ready", maxTcpSessions: 1024 - 128 });
    await using more = await startServer(["--max-tcp-sessions", "5000"], { openFiles: 1024 });
    expect(more.log[0]).toMatchObject({ level: "warn", maxTcpSessions: 5000, room: 1024 - 128 });
  });
});

describe("event loops", () => {
  for (const engine of LINUX ? ["bun", "linux"] : ["bun"]) {
    test(`${engine}: one that dies is replaced and counted, and the others' sessions go on`, async () => {
      await using server = await startServer(["--engine", engine, "--workers", "2", "--fault-injection"]);
      expect(server.engine).toBe(engine);
      const clients: Client[] = [];
      try {
        while (clients.length < 16) clients.push(await Client.connect(server.tcpPort));
        for (const client of clients) await client.echo("before");
        server.kill("SIGUSR2");
        const line = await server.waitForLog("event loop restarted");
        expect(line).toMatchObject({
          level: "error",
          loop: 1,
          why: expect.stringContaining("fault injected"),
        });
        const metrics = await server.metrics();
        expect(metrics.get("echo_worker_restarts_total")).toBe(1);
        const died = metrics.get("echo_closed_total", { protocol: "tcp", reason: "worker_died" });
        const active = metrics.get("echo_sessions_active", { protocol: "tcp" });
        expect(died + active).toBe(16);
        expect(active).toBeGreaterThan(0);
        const ended = new Set<Client>();
        for (const client of clients) void client.ended.promise.then(() => ended.add(client));
        await until("the dead loop's clients know", () => ended.size === died);
        for (const client of clients) if (!ended.has(client)) await client.echo("after");
        for (let tries = 0; tries < 16; tries++) {
          using client = await Client.connect(server.tcpPort);
          await client.echo("new");
        }
        expect((await server.fetch("/readyz")).status).toBe(200);
      } finally {
        for (const client of clients) client[Symbol.dispose]();
      }
      expect((await server.stop()).exitCode).toBe(0);
    });
  }
});

describe("health", () => {
  test("asks the running server; 0 for yes, 1 for no or nobody, one line each", async () => {
    await using server = await startServer(["--drain-timeout", "1h"]);
    const env = { ECHO_ADMIN_PORT: String(server.adminPort) };
    expect(await run(["health"], { env })).toEqual({ exitCode: 0, stdout: "ready\n", stderr: "" });
    expect(await run(["health", "live"], { env })).toEqual({ exitCode: 0, stdout: "live\n", stderr: "" });
    using client = await Client.connect(server.tcpPort);
    await client.echo("stay");
    server.kill("SIGTERM");
    await server.waitForLog("draining");
    expect(await run(["health"], { env })).toEqual({
      exitCode: 1,
      stdout: "not ready: draining\n",
      stderr: "",
    });
    client.finish();
    await server.exited;
    const nobody = await run(["health", "--admin-port", String(server.adminPort)]);
    expect(nobody).toMatchObject({
      exitCode: 1,
      stdout: `nobody answers at 127.0.0.1:${server.adminPort}\n`,
    });
  });
});

test("--version names the version and Bun's", async () => {
  const { exitCode, stdout } = await run(["--version"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^echo-server \d+\.\d+\.\d+ \(Bun \d+\.\d+\.\d+.*\)\n$/);
});

/** Refused by the kernel, reset, or closed without a word: anything but a banner. */
async function expectTurnedAway(port: number): Promise<void> {
  try {
    using client = await Client.connect(port);
    await client.ended.promise;
    expect(client.received).toBe("");
  } catch (error) {
    expect(errorCode(error as Error)).toBeOneOf(["ECONNREFUSED", "ECONNRESET"]);
  }
}

/** Runs what follows in a network namespace of its own, where nothing is up. */
function ownNetwork(): string[] {
  return process.getuid!() === 0 ? ["unshare", "--net"] : ["unshare", "--net", "--map-root-user"];
}

/** Runs what follows as PID 1. */
function ownProcesses(): string[] {
  const command = ["unshare", "--pid", "--fork", "--kill-child"];
  return process.getuid!() === 0 ? command : [...command, "--map-root-user"];
}
