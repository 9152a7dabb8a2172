import { describe, expect, test } from "bun:test";
import { parseEndpoint } from "../src/net/endpoint.ts";
import { TcpClient } from "./clients/tcp.ts";
import { cleanEnvironment, MAIN, ServerProcess, startServer, until } from "./harness.ts";

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
    const port = (bound: string | undefined) => parseEndpoint(bound!)!.port;
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
      using client = await TcpClient.connect(server.tcpPort);
      await client.greeted();
      expect(await client.echoes("a secret")).toBe(true);
      client.halfClose();
      expect(await client.ended).toBe("fin");
    }
    const line = await server.waitForLog("session ended");
    expect(line).toMatchObject({ level: "debug", protocol: "tcp", reason: "client" });
    expect(line["client"]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(line["server"]).toBe(`127.0.0.1:${server.tcpPort}`);
    expect(line["seconds"]).toBeNumber();
    const { stdout, stderr } = await server.stop();
    expect(stdout + stderr).not.toContain("secret");
  });

  test("nothing is said of the variables of Services, of tests and of the other commands", async () => {
    await using server = await startServer(["--tcp-port", "0"], {
      env: {
        ECHO_SERVER_PORT: "tcp://10.0.0.1:1234",
        ECHO_TCP_PORT: "tcp://10.0.0.2:1234",
        ECHO_TEST_ANYTHING: "1",
        ECHO_WATCH_ANYTHING: "1",
      },
    });
    expect(server.log.map(({ msg }) => msg)).toEqual(["ready"]);
  });

  for (const engine of process.platform === "linux" ? ["bun", "linux"] : ["bun"]) {
    test(`${engine}: why an event loop died, in its own words`, async () => {
      await using server = await startServer(["--engine", engine, "--workers", "2", "--fault-injection"]);
      server.kill("SIGUSR2");
      const line = await server.waitForLog("event loop restarted");
      expect(line).toMatchObject({ level: "error", loop: 1, why: expect.stringContaining("fault injected") });
    });
  }
});

describe("the log and its reader", () => {
  test("pretty on a terminal, and where it is asked for", async () => {
    const args = ["--tcp-port", "0", "--udp-port", "0", "--admin-port", "0"];
    await using asked = new ServerProcess([...args, "--log-format", "pretty"]);
    await until("a pretty line", () => asked.stdout.includes("ready"));
    expect(asked.stdout).toMatch(/INFO.*: ready \{"tcp":/);
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
