import { expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { connectMany, disposeAll, type TcpClient } from "./clients/tcp.ts";
import { startServer } from "./harness.ts";

/** SIGTERM under load: sessions that finish in time lose nothing, the others are cut after their queued bytes. */

/** Says the same words again and again until it is told to end, or ended. Returns how many bytes. */
async function talk(client: TcpClient, words: Buffer, ended: () => boolean): Promise<number> {
  let said = 0;
  while (client.ending === null && !ended()) {
    client.send(words);
    said += words.length;
    await Promise.race([client.receivedBytes(said).catch(() => {}), client.ended]);
  }
  return said;
}

function repeats(words: Buffer, bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += words.length) {
    if (!bytes.subarray(at, at + words.length).equals(words.subarray(0, bytes.length - at))) return false;
  }
  return true;
}

test("of 300 sessions in full flow, those that finish in time are whole, the others are cut by a FIN", async () => {
  await using server = await startServer(["--no-banner", "--drain-timeout", "8s", "--udp-port", "off"]);
  const clients = await connectMany(server.tcpPort, 300);
  try {
    const [finishing, quiet, talking] = [clients.slice(0, 100), clients.slice(100, 200), clients.slice(200)];
    const words = clients.map((_, at) => patternBytes(20_000, at));
    let finish = false;
    const first = finishing.map((client, at) => talk(client, words[at]!, () => finish));
    const others = talking.map((client, at) => talk(client, words[200 + at]!, () => false));
    for (const [at, client] of quiet.entries()) client.send(words[100 + at]!);
    await Promise.all(clients.map((client) => client.receivedBytes(1)));

    server.kill("SIGTERM");
    await server.waitForLog("draining");
    finish = true;
    const saidByFirst = await Promise.all(first);
    for (const client of finishing) client.halfClose();
    for (const [at, said] of saidByFirst.entries()) {
      const client = finishing[at]!;
      expect(await client.ended).toBe("fin");
      expect(client.received.length).toBe(said);
      expect(repeats(words[at]!, client.received)).toBe(true);
    }
    for (const [at, client] of quiet.entries()) {
      expect(await client.ended).toBe("fin");
      expect(client.received.equals(words[100 + at]!)).toBe(true);
    }
    await Promise.all(others);
    for (const [at, client] of talking.entries()) {
      expect(client.ending).toBe("fin");
      expect(repeats(words[200 + at]!, client.received)).toBe(true);
    }
    expect(await server.exited).toBe(0);
    expect(await server.waitForLog("drained")).toMatchObject({ finished: 100, cut: 200 });
  } finally {
    disposeAll(clients);
  }
});
