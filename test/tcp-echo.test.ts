import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { connectMany, disposeAll, parseBanner, TcpClient } from "./clients/tcp.ts";
import { startServer } from "./harness.ts";

/** TCP as a client sees it: the banner, then every byte back. */

describe("the banner", () => {
  test("comes before the client says a word: the date, this connection's two ends, an empty line", async () => {
    await using server = await startServer();
    const before = Math.floor(Date.now() / 1000) * 1000;
    using client = await TcpClient.connect(server.tcpPort);
    const banner = await client.greeted();
    expect(banner).toMatch(
      /^(Sun|Mon|Tue|Wed|Thu|Fri|Sat) [A-Z][a-z][a-z] [1-9]\d? \d\d:\d\d:\d\d UTC \d{4}\nServer: [^ \n]+\nClient: [^ \n]+\n\n$/,
    );
    const { Date: date, Server, Client } = parseBanner(banner);
    expect(Date.parse(date!)).toBeWithin(before, Date.now() + 1);
    expect(Server).toBe(`127.0.0.1:${server.tcpPort}`);
    expect(Client).toBe(`127.0.0.1:${client.port}`);
  });

  test("names the address that was asked, and the one that asked, on a wildcard listener", async () => {
    await using server = await startServer();
    const ends: [host: string, from: string][] = [
      ["127.0.0.2", "127.0.0.3"],
      ["127.0.0.3", "127.0.0.2"],
    ];
    for (const [host, from] of ends) {
      using client = await TcpClient.connect(server.tcpPort, { host, from });
      const { Server, Client } = parseBanner(await client.greeted());
      expect(Server).toBe(`${host}:${server.tcpPort}`);
      expect(Client).toBe(`${from}:${client.port}`);
    }
  });

  test("has IPv6 in brackets, and IPv4 as IPv4 on the same listener", async () => {
    await using server = await startServer(["--host", "::"]);
    using six = await TcpClient.connect(server.tcpPort, { host: "::1" });
    const { Server, Client } = parseBanner(await six.greeted());
    expect(Server).toBe(`[::1]:${server.tcpPort}`);
    expect(Client).toBe(`[::1]:${six.port}`);
    using four = await TcpClient.connect(server.tcpPort, { host: "127.0.0.1" });
    expect(parseBanner(await four.greeted())["Client"]).toBe(`127.0.0.1:${four.port}`);
    for (const client of [six, four]) expect(await client.echoes("both are served")).toBe(true);
  });

  test("has the fields that were asked for after Client", async () => {
    await using server = await startServer(["--banner-fields", "pod,node,namespace"], {
      env: { ECHO_POD_NAME: "server1", ECHO_NODE_NAME: "worker-2", ECHO_NAMESPACE: "echo-server" },
    });
    using client = await TcpClient.connect(server.tcpPort);
    const lines = (await client.greeted()).split("\n");
    expect(lines.slice(2)).toEqual([
      `Client: 127.0.0.1:${client.port}`,
      "Pod: server1",
      "Node: worker-2",
      "Namespace: echo-server",
      "",
      "",
    ]);
  });

  test("is each one's own when many come at once", async () => {
    await using server = await startServer();
    const clients = await connectMany(server.tcpPort, 200);
    for (const client of clients) {
      expect(parseBanner(await client.greeted())["Client"]).toBe(`127.0.0.1:${client.port}`);
    }
    disposeAll(clients);
  });

  test("can be left out: then the first byte back is the client's own", async () => {
    await using server = await startServer(["--no-banner"]);
    using client = await TcpClient.connect(server.tcpPort);
    client.send("\n\nplain");
    await client.receivedBytes(7);
    client.halfClose();
    expect(await client.ended).toBe("fin");
    expect(client.received.toString()).toBe("\n\nplain");
  });
});

describe("the echo", () => {
  const sizes = [1, 2, 1447, 1448, 65_535, 65_536, 65_537, 1_000_003, 8_388_608];

  test(`is exact at ${sizes.join(", ")} bytes, half-closed and read to the end`, async () => {
    await using server = await startServer();
    for (const size of sizes) {
      using client = await TcpClient.connect(server.tcpPort);
      const sent = patternBytes(size, size);
      client.send(sent);
      client.halfClose();
      expect(await client.ended).toBe("fin");
      expect(client.body.length).toBe(size);
      expect(client.body.equals(sent)).toBe(true);
    }
  });

  test("is exact for all byte values, byte by byte", async () => {
    await using server = await startServer();
    using client = await TcpClient.connect(server.tcpPort);
    await client.greeted();
    for (let byte = 0; byte < 256; byte++) {
      client.send(Uint8Array.of(byte));
      await client.echoed(byte + 1);
    }
    expect([...client.body]).toEqual(Array.from({ length: 256 }, (_, byte) => byte));
  });

  test("keeps sessions apart", async () => {
    await using server = await startServer();
    const clients = await connectMany(server.tcpPort, 50);
    for (const [at, client] of clients.entries()) client.send(patternBytes(40_000, at));
    for (const [at, client] of clients.entries()) {
      client.send(patternBytes(1000, at + 50));
      client.halfClose();
      expect(await client.ended).toBe("fin");
      const sent = Buffer.concat([patternBytes(40_000, at), patternBytes(1000, at + 50)]);
      expect(client.body.equals(sent)).toBe(true);
    }
  });

  test("of nothing is nothing: a client that only half-closes gets the banner and a FIN", async () => {
    await using server = await startServer();
    using client = await TcpClient.connect(server.tcpPort);
    client.halfClose();
    expect(await client.ended).toBe("fin");
    expect(client.banner).not.toBeNull();
    expect(client.body.length).toBe(0);
  });
});
