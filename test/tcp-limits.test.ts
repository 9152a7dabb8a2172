import { describe, expect, test } from "bun:test";
import { activeSessions, refusals, untilActive } from "./clients/metrics.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Caps of TCP sessions: the newcomer is reset and counted by reason; those that are here go on. */

/** Connects `count` and tells the admitted, each greeted, from the refused, each ended without a byte. */
async function crowd(
  server: EchoServer,
  count: number,
  from?: string,
): Promise<{ admitted: TcpClient[]; refused: TcpClient[] }> {
  const clients = await connectMany(server.tcpPort, count, from === undefined ? {} : { from });
  await until("each is greeted or refused", () =>
    clients.every((client) => client.ending !== null || client.banner !== null),
  );
  const refused = clients.filter((client) => client.ending !== null);
  for (const client of refused) {
    expect(client.ending).toBe("reset");
    expect(client.bytesReceived).toBe(0);
  }
  return { admitted: clients.filter((client) => client.ending === null), refused };
}

describe("the cap of all sessions", () => {
  test("lets exactly so many in, resets the others, and counts them", async () => {
    await using server = await startServer(["--max-tcp-sessions", "20"]);
    const { admitted, refused } = await crowd(server, 60);
    expect([admitted.length, refused.length]).toEqual([20, 40]);
    expect(await refusals(server, "tcp", "max_sessions")).toBe(40);
    expect(await activeSessions(server, "tcp")).toBe(20);
    for (const client of admitted) expect(await client.echoes("still served")).toBe(true);
    disposeAll(admitted);
  });

  test("has a place for a newcomer when one has left", async () => {
    await using server = await startServer(["--max-tcp-sessions", "3"]);
    const { admitted } = await crowd(server, 3);
    for (let round = 0; round < 3; round++) {
      using late = await TcpClient.connect(server.tcpPort);
      expect(await late.ended).toBe("reset");
      admitted.shift()!.halfClose();
      await untilActive(server, "tcp", 2);
      const next = await TcpClient.connect(server.tcpPort);
      expect(await next.echoes("welcome")).toBe(true);
      admitted.push(next);
    }
    expect(await refusals(server, "tcp", "max_sessions")).toBe(3);
    disposeAll(admitted);
  });

  test("keeps a flood of newcomers from disturbing open sessions", async () => {
    await using server = await startServer(["--max-tcp-sessions", "5"]);
    const { admitted } = await crowd(server, 5);
    let flooding = true;
    const echoes = admitted.map(async (client) => {
      let count = 0;
      while (flooding) {
        expect(await client.echoes("through the flood")).toBe(true);
        count++;
      }
      return count;
    });
    for (let wave = 0; wave < 5; wave++) {
      const { admitted: more } = await crowd(server, 200);
      expect(more.length).toBe(0);
    }
    flooding = false;
    for (const count of await Promise.all(echoes)) expect(count).toBeGreaterThan(0);
    expect(await refusals(server, "tcp", "max_sessions")).toBe(1000);
    disposeAll(admitted);
  });
});

describe("the cap of one client's sessions", () => {
  test("holds for each address by itself", async () => {
    await using server = await startServer(["--max-tcp-sessions-per-client", "4"]);
    const first = await crowd(server, 10, "127.0.0.11");
    const second = await crowd(server, 3, "127.0.0.12");
    expect([first.admitted.length, first.refused.length]).toEqual([4, 6]);
    expect([second.admitted.length, second.refused.length]).toEqual([3, 0]);
    expect(await refusals(server, "tcp", "max_sessions_per_client")).toBe(6);
    expect(await refusals(server, "tcp", "max_sessions")).toBe(0);
    for (const client of [...first.admitted, ...second.admitted]) {
      expect(await client.echoes("still served")).toBe(true);
    }
    disposeAll([...first.admitted, ...second.admitted]);
  });

  test("gives places back however a session ends", async () => {
    const limits = ["--max-tcp-sessions-per-client", "4", "--tcp-idle-timeout", "500ms"];
    await using server = await startServer(limits);
    const endings: ((client: TcpClient) => void)[] = [
      (client) => client.halfClose(),
      (client) => client.reset(),
      () => {}, // the idle timeout ends it
    ];
    for (const end of endings) {
      const { admitted } = await crowd(server, 4);
      expect(admitted.length).toBe(4);
      for (const client of admitted) end(client);
      await untilActive(server, "tcp", 0);
    }
    const { admitted, refused } = await crowd(server, 6);
    expect([admitted.length, refused.length]).toEqual([4, 2]);
    disposeAll(admitted);
  });
});
