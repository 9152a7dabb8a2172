import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net"; // Bun.connect cannot choose the address it comes from
import { type EchoServer, startServer, until } from "./harness.ts";

/** The PROXY protocol through the front door: what a load balancer, a stray client and a liar get to see. */

const V1 = "PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";
const V2_SIGNATURE = "0d0a0d0a000d0a515549540a";
const V2 = Buffer.from(`${V2_SIGNATURE}21110010c0000207c6336402dc0401bb04000101`, "hex"); // with a TLV of no meaning
const V2_IPV6 = Buffer.from(
  `${V2_SIGNATURE}21210024${"20010db8000000000000000000000007".repeat(2)}dc0401bb`,
  "hex",
);
const V2_LOCAL = Buffer.from(`${V2_SIGNATURE}20000000`, "hex");
const V2_UNIX = Buffer.from(`${V2_SIGNATURE}213100d8${"2f".repeat(216)}`, "hex");
const V2_OVERSIZE = Buffer.from(`${V2_SIGNATURE}2111ffff`, "hex");

/** A client that keeps all it gets and how it ended. */
class Client implements Disposable {
  received = Buffer.alloc(0);
  ended = false;
  readonly #socket: Socket;

  constructor(server: EchoServer, localAddress = "127.0.0.1") {
    this.#socket = connect({ host: "127.0.0.1", port: server.tcpPort, localAddress, allowHalfOpen: true });
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    for (const event of ["end", "error", "close"]) {
      this.#socket.on(event, () => {
        this.ended = true;
      });
    }
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  /** The banner's lines without the date, and what came after them. */
  get parts(): { lines: string[]; body: string } {
    const end = this.text.indexOf("\n\n");
    const [, ...lines] = this.text.slice(0, end).split("\n");
    return { lines, body: this.text.slice(end + 2) };
  }

  get endpoint(): string {
    return `${this.#socket.localAddress}:${this.#socket.localPort}`;
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Each byte in a segment of its own. */
  async sendSlowly(bytes: string | Uint8Array): Promise<void> {
    for (const byte of Buffer.from(bytes)) {
      await new Promise<void>((resolve) => this.#socket.write(new Uint8Array([byte]), () => resolve()));
    }
  }

  halfClose(): void {
    this.#socket.end();
  }

  async banner(): Promise<void> {
    await until("a banner", () => this.text.includes("\n\n") || this.ended);
  }

  async body(wanted: string): Promise<void> {
    await until(`the echo of ${wanted}`, () => this.parts.body === wanted || this.ended);
    expect(this.parts.body).toBe(wanted);
  }

  async end(): Promise<void> {
    await until("the end", () => this.ended);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

const refused = async (server: EchoServer, reason: string): Promise<number> =>
  (await server.metrics()).get("echo_refused_total", { protocol: "tcp", reason });

const headers = async (server: EchoServer, kind: string): Promise<number> =>
  (await server.metrics()).get("echo_proxy_headers_total", { kind });

describe("require", () => {
  const believed: [string, string | Uint8Array, string, string][] = [
    ["version 1", V1, "Client: 192.0.2.7:56324", "v1"],
    ["version 2", V2, "Client: 192.0.2.7:56324", "v2"],
    ["version 2, IPv6", V2_IPV6, "Client: [2001:db8::7]:56324", "v2"],
  ];

  test.each(believed)("%s names the client, and Via the proxy", async (_name, header, line, kind) => {
    await using server = await startServer(["--proxy-protocol", "require"]);
    for (const pace of ["at once", "byte by byte"]) {
      using client = new Client(server);
      if (pace === "at once") client.send(Buffer.concat([Buffer.from(header), Buffer.from("hello")]));
      else {
        await client.sendSlowly(header);
        client.send("hello");
      }
      await client.body("hello");
      expect(client.parts.lines).toEqual([
        `Server: 127.0.0.1:${server.tcpPort}`,
        line,
        `Via: ${client.endpoint}`,
      ]);
      client.send(header); // only the first is a header
      await client.body(`hello${Buffer.from(header).toString("latin1")}`);
    }
    expect(await headers(server, kind)).toBe(2);
    const echoed = 2 * (5 + Buffer.from(header).length);
    expect((await server.metrics()).get("echo_received_bytes_total", { protocol: "tcp" })).toBe(echoed);
  });

  const nobody: [string, string | Uint8Array][] = [
    ["LOCAL", V2_LOCAL],
    ["UNKNOWN", "PROXY UNKNOWN\r\n"],
    ["UNIX", V2_UNIX],
  ];

  test.each(nobody)("%s: the connection's own ends count", async (_name, header) => {
    await using server = await startServer(["--proxy-protocol", "require"]);
    using client = new Client(server);
    client.send(header);
    await client.banner();
    expect(client.parts.lines).toEqual([`Server: 127.0.0.1:${server.tcpPort}`, `Client: ${client.endpoint}`]);
    expect(await headers(server, "local")).toBe(1);
  });

  const refusals: [string, string | Uint8Array, string][] = [
    ["no header", "hello there\n", "proxy_missing"],
    ["a malformed line", "PROXY TCP4 192.0.2.7 198.51.100.2 99999 443\r\n", "proxy_malformed"],
    ["a line without end", `PROXY ${"x".repeat(500)}`, "proxy_malformed"],
    ["a header that is too long", V2_OVERSIZE, "proxy_malformed"],
    ["half a header and silence", V1.slice(0, 20), "proxy_timeout"],
    ["silence", "", "proxy_timeout"],
  ];

  test.each(refusals)("%s is refused, without a byte", async (_name, bytes, reason) => {
    await using server = await startServer(["--proxy-protocol", "require", "--proxy-timeout", "300ms"]);
    using client = new Client(server);
    if (bytes.length > 0) client.send(bytes);
    await client.end();
    expect(client.received.length).toBe(0);
    expect(await refused(server, reason)).toBe(1);
    expect((await server.metrics()).get("echo_sessions_active", { protocol: "tcp" })).toBe(0);
  });

  test("a FIN in place of a header is a refusal", async () => {
    await using server = await startServer(["--proxy-protocol", "require", "--proxy-timeout", "1m"]);
    using client = new Client(server);
    client.send("PRO");
    client.halfClose();
    await client.end();
    expect(client.received.length).toBe(0);
    expect(await refused(server, "proxy_missing")).toBe(1);
  });

  test("an address that is not trusted is refused, header or not", async () => {
    await using server = await startServer([
      "--proxy-protocol",
      "require",
      "--proxy-trusted",
      "127.0.0.2/32",
    ]);
    using stranger = new Client(server, "127.0.0.1");
    stranger.send(V1);
    await stranger.end();
    expect(stranger.received.length).toBe(0);
    expect(await refused(server, "proxy_untrusted")).toBe(1);
    using proxy = new Client(server, "127.0.0.2");
    proxy.send(V1);
    await proxy.banner();
    expect(proxy.parts.lines).toContain("Client: 192.0.2.7:56324");
  });

  test("a limit for each client counts the real one", async () => {
    await using server = await startServer([
      "--proxy-protocol",
      "require",
      "--max-tcp-sessions-per-client",
      "1",
    ]);
    using first = new Client(server);
    first.send(V1);
    await first.banner();
    using second = new Client(server);
    second.send(V1);
    await second.end();
    expect(await refused(server, "max_sessions_per_client")).toBe(1);
    using other = new Client(server);
    other.send(V2_IPV6);
    await other.banner();
    expect(other.parts.lines).toContain("Client: [2001:db8::7]:56324");
  });
});

describe("accept", () => {
  test("a header is believed, and plain data is plain from its first other byte on", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "1m"]);
    using proxied = new Client(server);
    proxied.send(`${V1}data`);
    await proxied.body("data");
    expect(proxied.parts.lines[1]).toBe("Client: 192.0.2.7:56324");
    for (const plain of ["hello", "PROXX", "PROXY\n", "\r\n\r\nX"]) {
      using client = new Client(server);
      client.send(plain);
      await client.body(plain);
      expect(client.parts.lines).toEqual([
        `Server: 127.0.0.1:${server.tcpPort}`,
        `Client: ${client.endpoint}`,
      ]);
    }
  });

  test("a client that only listens gets its banner when the time for a header is over", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "200ms"]);
    using silent = new Client(server);
    using partial = new Client(server);
    partial.send("PROX");
    await silent.banner();
    expect(silent.parts.lines[1]).toBe(`Client: ${silent.endpoint}`);
    await partial.body("PROX");
  });

  test("a whole signature without the rest is refused when its time is over: no part of a header is echoed", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "200ms"]);
    using client = new Client(server);
    client.send(V1.slice(0, 20));
    await client.end();
    expect(client.received.length).toBe(0);
    expect(await refused(server, "proxy_timeout")).toBe(1);
  });

  test("a malformed header is refused", async () => {
    await using server = await startServer(["--proxy-protocol", "accept"]);
    using client = new Client(server);
    client.send("PROXY TCP4 somewhere\r\n");
    await client.end();
    expect(client.received.length).toBe(0);
    expect(await refused(server, "proxy_malformed")).toBe(1);
  });

  test("a FIN in place of a header: banner, echo, end", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "1m"]);
    using client = new Client(server);
    client.send("PRO");
    client.halfClose();
    await client.end();
    expect(client.parts.body).toBe("PRO");
  });

  test("to an address that is not trusted a header is plain data", async () => {
    await using server = await startServer([
      "--proxy-protocol",
      "accept",
      "--proxy-trusted",
      "127.0.0.2/32,10.0.0.0/8",
    ]);
    using client = new Client(server);
    client.send(V1);
    await client.body(V1);
    expect(client.parts.lines[1]).toBe(`Client: ${client.endpoint}`);
  });
});

test("off: a header is data like any other", async () => {
  await using server = await startServer();
  using client = new Client(server);
  client.send(V2);
  await client.body(V2.toString("latin1"));
});

test("a large payload right behind the header comes back whole", async () => {
  await using server = await startServer(["--proxy-protocol", "require"]);
  using client = new Client(server);
  const payload = Buffer.alloc(3_000_000, "0123456789");
  client.send(Buffer.concat([Buffer.from(V1), payload]));
  await until("all of it", () => client.parts.body.length >= payload.length || client.ended);
  expect(client.parts.body === payload.toString("latin1")).toBe(true);
});
