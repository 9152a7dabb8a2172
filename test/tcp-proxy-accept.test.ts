import { describe, expect, test } from "bun:test";
import { untilActive } from "./clients/metrics.ts";
import {
  bannerLines,
  connectWith,
  headersBy,
  refusedBy,
  sendByteByByte,
  untilCounted,
} from "./clients/proxied.ts";
import { checksummed, INET, SIGNATURE_V2, text, v2 } from "./clients/proxy-headers.ts";
import { TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer } from "./harness.ts";

/** `--proxy-protocol accept`, where clients come with and without a header, and `off`, where none is looked for. */

const V1 = text("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n");
const ACCEPT = ["--proxy-protocol", "accept", "--proxy-timeout", "1m"];

test("a header names the client", async () => {
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

const LATE = ["--proxy-protocol", "accept", "--proxy-timeout", "300ms"];

/** A client that has said nothing, and so has its banner. */
async function greeted(server: EchoServer): Promise<TcpClient> {
  const client = await TcpClient.connect(server.tcpPort);
  expect((await bannerLines(client)).slice(1)).toEqual([`Client: 127.0.0.1:${client.port}`]);
  return client;
}

const late = async (server: EchoServer) => (await server.metrics()).get("echo_proxy_late_total");

/** A balancer that sends its header with the client's first payload, to a server that speaks first. */
describe("a header that comes after the banner", () => {
  test("is taken off, however it is segmented, and counted; the echo goes on", async () => {
    await using server = await startServer([...LATE.slice(0, 2), "--proxy-timeout", "1s"]);
    const headers = [V1, checksummed(), v2(0x20, 0x00, [])];
    let received = 0;
    let sent = 0;
    for (const header of headers) {
      const whole = new Uint8Array([...header, ...text("hello")]);
      const clients = await Promise.all([greeted(server), greeted(server), greeted(server)]);
      clients[0]!.send(whole);
      const pacing = sendByteByByte(clients[1]!, whole);
      clients[2]!.send(header); // alone: nothing comes back
      await pacing;
      for (const client of clients.slice(0, 2)) expect((await client.echoed(5)).toString()).toBe("hello");
      clients[2]!.send(text("later"));
      expect((await clients[2]!.echoed(5)).toString()).toBe("later");
      for (const client of clients) {
        client.send(V1); // only the first is a header
        expect((await client.echoed(5 + V1.length)).subarray(5)).toEqual(Buffer.from(V1));
        received += 5 + V1.length;
        sent += client.bytesReceived;
        client[Symbol.dispose]();
      }
    }
    expect(await late(server)).toBe(9);
    expect(await headersBy(server)).toEqual({ v1: 3, v2: 3, local: 3 });
    expect(await refusedBy(server)).toEqual({});
    await untilCounted(server, received, sent);
  });

  test("is refused without a byte of it where it is broken or never complete", async () => {
    await using server = await startServer(LATE);
    const broken = [text("PROXY TCP4 somewhere\r\n"), v2(0x31, 0x11, INET)];
    const unfinished = [V1.subarray(0, 6), V1.subarray(0, 20), checksummed().subarray(0, 30)];
    for (const bytes of [...broken, ...unfinished]) {
      using client = await greeted(server);
      client.send(bytes);
      expect(await client.ended).toBe("reset");
      expect(client.body.length).toBe(0);
    }
    expect(await refusedBy(server)).toEqual({ proxy_malformed: 2, proxy_timeout: 3 });
    expect(await late(server)).toBe(0);
    await untilActive(server, "tcp", 0);
  });

  test("part of a signature comes back when the time for a header is over; what is no signature comes back too", async () => {
    await using server = await startServer(LATE);
    const notBinary = Buffer.from([...SIGNATURE_V2.slice(0, 11), 0]).toString("latin1");
    for (const plain of ["PROX", "\r\n\r", "hello", "PROXY\n", notBinary]) {
      using client = await greeted(server);
      client.send(plain);
      expect((await client.echoed(plain.length)).toString("latin1")).toBe(plain);
      client.send(V1); // the session is a plain one now
      expect((await client.echoed(plain.length + V1.length)).subarray(plain.length)).toEqual(Buffer.from(V1));
    }
    expect(await refusedBy(server)).toEqual({});
    expect(await late(server)).toBe(0);
  });

  test("a FIN in a signature gives it back; in the midst of a header it is a refusal", async () => {
    await using server = await startServer([...LATE.slice(0, 2), "--proxy-timeout", "1s"]);
    using plain = await greeted(server);
    plain.send("PRO");
    plain.halfClose();
    expect(await plain.ended).toBe("fin");
    expect(plain.body.toString()).toBe("PRO");
    using silent = await greeted(server);
    silent.halfClose();
    expect(await silent.ended).toBe("fin");
    using cut = await greeted(server);
    cut.send(V1.subarray(0, 20));
    cut.halfClose();
    await cut.ended;
    expect(cut.body.length).toBe(0);
    expect(await refusedBy(server)).toEqual({ proxy_malformed: 1 });
  });
});

describe("a header that comes after the banner: limits and times", () => {
  test("a limit for each client counts the real one from then on", async () => {
    await using server = await startServer([...LATE, "--max-tcp-sessions-per-client", "1"]);
    using first = await greeted(server);
    first.send(new Uint8Array([...V1, ...text("one")]));
    expect((await first.echoed(3)).toString()).toBe("one");
    using second = await greeted(server); // the proxy's own place is free again
    second.send(new Uint8Array([...V1, ...text("two")]));
    expect(await second.ended).toBe("reset");
    expect(second.body.length).toBe(0);
    expect(await refusedBy(server)).toEqual({ max_sessions_per_client: 1 });
  });

  test("the idle timeout holds while it may still come", async () => {
    await using server = await startServer([...LATE, "--tcp-idle-timeout", "1s"]);
    using client = await greeted(server);
    expect(await client.ended).toBe("fin");
  });

  test("under require there is none: the session was refused", async () => {
    await using server = await startServer(["--proxy-protocol", "require", "--proxy-timeout", "300ms"]);
    using client = await TcpClient.connect(server.tcpPort);
    expect(await client.ended).toBe("reset");
    expect(client.bytesReceived).toBe(0);
    expect(await refusedBy(server)).toEqual({ proxy_timeout: 1 });
  });
});

test("the log of a proxied session names the client and the proxy", async () => {
  await using server = await startServer([...ACCEPT, "--log-level", "debug"]);
  using proxied = await connectWith(server, new Uint8Array([...V1, ...text("data")]));
  await proxied.echoed(4);
  using plain = await connectWith(server, text("data"));
  await plain.echoed(4);
  const own = { proxied: `127.0.0.1:${proxied.port}`, plain: `127.0.0.1:${plain.port}` };
  proxied.halfClose();
  plain.halfClose();
  for (const msg of ["session opened", "session ended"]) {
    const by = (ip: string) => server.waitForLog((line) => line.msg === msg && line["client"] === ip);
    expect(await by("192.0.2.7:56324")).toMatchObject({ via: own.proxied });
    expect(await by(own.plain)).not.toHaveProperty("via");
  }
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

test("with the PROXY protocol off a header is echoed like any data", async () => {
  await using server = await startServer();
  for (const header of [V1, checksummed()]) {
    using client = await connectWith(server, header);
    expect((await bannerLines(client)).slice(1)).toEqual([`Client: 127.0.0.1:${client.port}`]);
    expect(await client.echoed(header.length)).toEqual(Buffer.from(header));
  }
  expect(await headersBy(server)).toEqual({});
});
