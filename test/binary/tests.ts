import { describe, expect, test } from "bun:test";
import { patternBytes } from "../clients/bytes.ts";
import { parseBanner, TcpClient } from "../clients/tcp.ts";
import { greet, UdpClient } from "../clients/udp.ts";
import { run, startServer } from "../harness.ts";

/**
 * What a compiled binary has to do wherever it is run: both engines start, echo exactly and drain.
 * @param commandOf what runs the binary; asked when a test begins
 * @param linux whether it is one for Linux, with the engine of that name
 */
export function binaryTests(commandOf: () => readonly string[], linux: boolean): void {
  test("it says its version", async () => {
    const { exitCode, stdout } = await run(["--version"], { command: commandOf() });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^echo-server \d/) });
  });

  test("`auto` takes the engine of this system", async () => {
    await using server = await startServer(["--engine", "auto"], { command: commandOf() });
    const { engine, engineReason } = await server.waitForLog("ready");
    expect(engine).toBe(linux ? "linux" : "bun");
    if (linux) expect(engineReason).toBe("self-test passed");
  });

  const sockets = linux ? ["linux", "bun"] : ["bun"];
  test.each(sockets)("`check` finds nothing wrong, by sockets of %s", async (engine) => {
    const command = commandOf();
    await using server = await startServer([], { command });
    const targets = [`tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`];
    const args = ["check", "--json", "--engine", engine, "--flows", "2", "--count", "3", ...targets];
    const { exitCode, stdout } = await run(args, { command });
    const { ok, results } = JSON.parse(stdout);
    expect({ exitCode, ok }).toEqual({ exitCode: 0, ok: true });
    const measured = results.map((result: { tcp: unknown; hops: unknown }) => result.tcp ?? result.hops);
    if (engine === "linux") expect(measured).toEqual([expect.any(Object), { there: null, back: 0 }]);
    else expect(measured).toEqual([null, null]);
  });

  describe.each(linux ? ["linux", "bun"] : ["bun"])("engine %s", (engine) => {
    test("echoes exactly, by TCP and UDP, says that it is ready, and drains", async () => {
      const command = commandOf();
      await using server = await startServer(["--engine", engine, "--workers", "2"], { command });
      for (const host of ["127.0.0.1", "::1"]) {
        using tcp = await TcpClient.connect(server.tcpPort, { host });
        expect(parseBanner(await tcp.greeted())["Client"]).toEndWith(`:${tcp.port}`);
        const bytes = patternBytes(3_000_001);
        tcp.send(bytes);
        expect(bytes.equals(await tcp.echoed(bytes.length))).toBe(true);
        tcp.halfClose();
        expect(await tcp.ended).toBe("fin");

        using udp = await UdpClient.open(server.udpPort, { host });
        expect(parseBanner(await greet(udp))["Client"]).toEndWith(`:${udp.port}`);
        // 9,216 bytes are the most that macOS sends unless told otherwise.
        for (const length of [0, 1, 1_400, 9_000, ...(linux ? [60_000] : [])]) {
          const datagram = patternBytes(length, length);
          expect(datagram.equals(await udp.asks(datagram))).toBe(true);
        }
      }
      const health = await run(["health", "--admin-port", String(server.adminPort)], { command });
      expect(health).toMatchObject({ exitCode: 0, stdout: "ready\n" });
      expect((await server.stop()).exitCode).toBe(0);
    });
  });
}
