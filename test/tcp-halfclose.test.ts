import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { untilActive } from "./clients/metrics.ts";
import { TcpClient } from "./clients/tcp.ts";
import { startServer, until } from "./harness.ts";

/** A client that sends its FIN still reads: it gets all queued bytes, then the FIN of the server, and nothing stays. */

describe("a client that half-closes", () => {
  test("reads the tail of 20 MB, 50 times of 50", async () => {
    await using server = await startServer();
    const payload = patternBytes(20_000_000);
    for (let time = 1; time <= 50; time++) {
      using client = await TcpClient.connect(server.tcpPort);
      client.send(payload);
      client.halfClose();
      expect(await client.ended).toBe("fin");
      expect({ time, echoed: client.body.length }).toEqual({ time, echoed: payload.length });
      expect(client.body.equals(payload)).toBeTrue();
    }
    await untilActive(server, "tcp", 0);
    const metrics = await server.metrics();
    expect(metrics.get("echo_closed_total", { protocol: "tcp", reason: "client" })).toBe(50);
  }, 60_000);

  test("gets its echo though it reads only after its FIN", async () => {
    await using server = await startServer();
    const payload = patternBytes(300_000);
    using client = await TcpClient.connect(server.tcpPort, { stalled: true });
    client.send(payload);
    client.halfClose();
    await until("the server has it all", async () => {
      return (
        (await server.metrics()).get("echo_received_bytes_total", { protocol: "tcp" }) === payload.length
      );
    });
    client.resume();
    expect(await client.ended).toBe("fin");
    expect(client.body.equals(payload)).toBeTrue();
  });

  test("while the server has bytes queued for it still gets all of them", async () => {
    await using server = await startServer();
    const payload = patternBytes(12_000_000);
    using client = await TcpClient.connect(server.tcpPort, { stalled: true });
    client.send(payload);
    client.halfClose();
    await until("the server keeps bytes for it", async () => {
      return (await server.metrics()).get("echo_queued_bytes") > 0;
    });
    client.resume();
    expect(await client.ended).toBe("fin");
    expect(client.body.equals(payload)).toBeTrue();
  });
});
