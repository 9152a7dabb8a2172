import { describe, expect, test } from "bun:test";
import { untilActive } from "./clients/metrics.ts";
import { bannerLines, connectWith, headersBy, refusedBy, untilCounted } from "./clients/proxied.ts";
import { checksummed, INET, SIGNATURE_V2, text, v2 } from "./clients/proxy-headers.ts";
import { TcpClient } from "./clients/tcp.ts";
import { startServer } from "./harness.ts";

/** `--proxy-protocol accept`, where clients come with and without a header, and `off`, where none is looked for. */

const V1 = text("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n");
const ACCEPT = ["--proxy-protocol", "accept", "--proxy-timeout", "1m"];

test("a header is believed", async () => {
  await using server = await startServer(ACCEPT);
  using proxied = await connectWith(server, new Uint8Array([...V1, ...text("data")]));
  const via = `Via: 127.0.0.1:${proxied.port}`;
  expect((await bannerLines(proxied)).slice(1)).toEqual(["Client: 192.0.2.7:56324", via]);
  expect((await proxied.echoed(4)).toString()).toBe("data");
  using check = await connectWith(server, v2(0x20, 0x00, []));
  expect((await bannerLines(check)).slice(1)).toEqual([`Client: 127.0.0.1:${check.port}`]);
  expect(await headersBy(server)).toEqual({ v1: 1, local: 1 });
});

test("plain data is plain from its first other byte on: the banner, then every byte", async () => {
  await using server = await startServer(ACCEPT);
  const notBinary = Buffer.from([...SIGNATURE_V2.slice(0, 11), 0]).toString("latin1");
  let received = 0;
  let sent = 0;
  for (const plain of ["hello", "PX", "PROXY\n", "PROXYX", "\r\n\r\nX", "\0", notBinary]) {
    using client = await connectWith(server, Buffer.from(plain, "latin1"));
    expect((await bannerLines(client)).slice(1)).toEqual([`Client: 127.0.0.1:${client.port}`]);
    expect((await client.echoed(plain.length)).toString("latin1")).toBe(plain);
    client.send(V1); // too late to be one
    expect((await client.echoed(plain.length + V1.length)).subarray(plain.length)).toEqual(Buffer.from(V1));
    received += plain.length + V1.length;
    sent += client.bytesReceived;
  }
  expect(await refusedBy(server)).toEqual({});
  expect(await headersBy(server)).toEqual({});
  await untilCounted(server, received, sent);
});

test("a header that is broken is refused, without a byte", async () => {
  await using server = await startServer(ACCEPT);
  const broken = [
    text("PROXY TCP4 somewhere\r\n"),
    text("PROXY \n"),
    v2(0x31, 0x11, INET),
    v2(0x21, 0x11, [...INET, 0x03, 0, 4, 1, 2, 3, 4]),
    v2(0x21, 0x11, [], 65535),
  ];
  for (const [at, bytes] of broken.entries()) {
    using client = await connectWith(server, bytes);
    expect(await client.ended).toBe("reset");
    expect(client.bytesReceived).toBe(0);
    expect(await refusedBy(server)).toEqual({ proxy_malformed: at + 1 });
  }
  await untilActive(server, "tcp", 0);
});

describe("when the time for a header is over", () => {
  test("a client that only listens gets its banner, and part of a signature comes back", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "300ms"]);
    using silent = await TcpClient.connect(server.tcpPort);
    using partial = await connectWith(server, text("PROX"));
    expect((await bannerLines(silent)).slice(1)).toEqual([`Client: 127.0.0.1:${silent.port}`]);
    expect((await partial.echoed(4)).toString()).toBe("PROX");
    const rest = Buffer.from(V1).subarray(4);
    partial.send(rest); // the session is a plain one now
    expect((await partial.echoed(4 + rest.length)).subarray(4)).toEqual(rest);
    silent.send(V1);
    expect(await silent.echoed(V1.length)).toEqual(Buffer.from(V1));
    expect(await refusedBy(server)).toEqual({});
  });

  test("a whole signature without the rest is refused: no byte of a header is echoed", async () => {
    await using server = await startServer(["--proxy-protocol", "accept", "--proxy-timeout", "2s"]);
    const partial = [
      V1.subarray(0, 6),
      V1.subarray(0, 20),
      new Uint8Array(SIGNATURE_V2),
      checksummed().subarray(0, 30),
    ];
    const clients = await Promise.all(partial.map((bytes) => connectWith(server, bytes)));
    for (const client of clients) {
      expect(await client.ended).toBe("reset");
      expect(client.bytesReceived).toBe(0);
    }
    expect(await refusedBy(server)).toEqual({ proxy_timeout: partial.length });
  });
});

describe("a FIN", () => {
  test("in place of a header or in a signature: the banner, the bytes, the end", async () => {
    await using server = await startServer(ACCEPT);
    for (const plain of ["", "PRO"]) {
      using client = await connectWith(server, text(plain));
      const ends = [`Server: 127.0.0.1:${server.tcpPort}`, `Client: 127.0.0.1:${client.port}`];
      client.halfClose();
      expect(await client.ended).toBe("fin");
      expect(await bannerLines(client)).toEqual(ends);
      expect(client.body.toString()).toBe(plain);
    }
    expect(await refusedBy(server)).toEqual({});
  });

  test("in the midst of a header: a refusal, without a byte", async () => {
    await using server = await startServer(ACCEPT);
    for (const [at, bytes] of [V1.subarray(0, 20), checksummed().subarray(0, 20)].entries()) {
      using client = await connectWith(server, bytes);
      client.halfClose();
      await client.ended;
      expect(client.bytesReceived).toBe(0);
      expect(await refusedBy(server)).toEqual({ proxy_malformed: at + 1 });
    }
  });
});

test("to an address that is not trusted a header is plain data, and its banner does not wait for one", async () => {
  await using server = await startServer([...ACCEPT, "--proxy-trusted", "10.0.0.0/8,127.0.0.2/32"]);
  using silent = await TcpClient.connect(server.tcpPort);
  await silent.greeted();
  using liar = await connectWith(server, V1);
  expect((await bannerLines(liar)).slice(1)).toEqual([`Client: 127.0.0.1:${liar.port}`]);
  expect(await liar.echoed(V1.length)).toEqual(Buffer.from(V1));
  using proxy = await connectWith(server, V1, { from: "127.0.0.2" });
  const via = `Via: 127.0.0.2:${proxy.port}`;
  expect((await bannerLines(proxy)).slice(1)).toEqual(["Client: 192.0.2.7:56324", via]);
  expect(await headersBy(server)).toEqual({ v1: 1 });
  expect(await refusedBy(server)).toEqual({});
});

test("off: a header is data like any other", async () => {
  await using server = await startServer();
  for (const header of [V1, checksummed()]) {
    using client = await connectWith(server, header);
    expect((await bannerLines(client)).slice(1)).toEqual([`Client: 127.0.0.1:${client.port}`]);
    expect(await client.echoed(header.length)).toEqual(Buffer.from(header));
  }
  expect(await headersBy(server)).toEqual({});
});
