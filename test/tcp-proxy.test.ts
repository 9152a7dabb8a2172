import { describe, expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { isStopped } from "./clients/machine.ts";
import { activeSessions, untilActive } from "./clients/metrics.ts";
import {
  bannerLines,
  connectWith,
  headersBy,
  refusedBy,
  sendByteByByte,
  untilCounted,
} from "./clients/proxied.ts";
import { checksummed, INET, INET6, SIGNATURE_V2, text, UNIX, v2 } from "./clients/proxy-headers.ts";
import { TcpClient } from "./clients/tcp.ts";
import { startServer, until } from "./harness.ts";

/** `--proxy-protocol require` through the front door: what a load balancer, a stray client and a liar get to see. */

const V1 = text("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n");
const V1_CLIENT = "Client: 192.0.2.7:56324";
const V2_CLIENT = "Client: 10.1.2.3:4660";
const REQUIRE = ["--proxy-protocol", "require", "--proxy-timeout", "1m"];

describe("a header that names the client", () => {
  const believed: [name: string, header: Uint8Array, client: string, kind: string][] = [
    ["version 1, IPv4", V1, V1_CLIENT, "v1"],
    ["version 1, IPv6", text("PROXY TCP6 2001:db8::7 ::1 80 443\r\n"), "Client: [2001:db8::7]:80", "v1"],
    ["version 2, IPv4", v2(0x21, 0x11, INET), V2_CLIENT, "v2"],
    ["version 2, IPv6", v2(0x21, 0x21, INET6), "Client: [::1]:4660", "v2"],
    ["version 2 with TLVs", v2(0x21, 0x11, [...INET, 0xea, 0, 2, 13, 10, 0x04, 0, 0]), V2_CLIENT, "v2"],
    ["version 2 with a checksum", checksummed(), V2_CLIENT, "v2"],
  ];

  test.each(believed)("%s: Client is who it says, then Via the proxy", async (_name, header, line, kind) => {
    await using server = await startServer(REQUIRE);
    let sent = 0;
    for (const pace of ["at once", "byte by byte"]) {
      const withPayload = new Uint8Array([...header, ...text("hello")]);
      using client = await connectWith(server, pace === "at once" ? withPayload : new Uint8Array(0));
      if (pace === "byte by byte") await sendByteByByte(client, withPayload);
      expect(await bannerLines(client)).toEqual([
        `Server: 127.0.0.1:${server.tcpPort}`,
        line,
        `Via: 127.0.0.1:${client.port}`,
      ]);
      expect((await client.echoed(5)).toString()).toBe("hello");
      client.send(header); // only the first is a header
      const echo = await client.echoed(5 + header.length);
      expect(echo).toEqual(Buffer.concat([text("hello"), header]));
      sent += client.bytesReceived;
    }
    expect(await headersBy(server)).toEqual({ [kind]: 2 });
    expect(await refusedBy(server)).toEqual({});
    await untilCounted(server, 2 * (5 + header.length), sent);
  });

  test("both engines take a checksum in one segment", async () => {
    for (const engine of ["bun", "auto"]) {
      await using server = await startServer([...REQUIRE, "--engine", engine]);
      using client = await connectWith(server, checksummed());
      expect((await bannerLines(client))[1]).toBe(V2_CLIENT);
    }
  });

  test("Via comes before the fields that were asked for", async () => {
    const env = { ECHO_POD_NAME: "server1" };
    await using server = await startServer([...REQUIRE, "--banner-fields", "pod"], { env });
    using client = await connectWith(server, V1);
    expect((await bannerLines(client)).slice(1)).toEqual([
      V1_CLIENT,
      `Via: 127.0.0.1:${client.port}`,
      "Pod: server1",
    ]);
  });

  test("without a banner only what follows the header comes back", async () => {
    await using server = await startServer([...REQUIRE, "--no-banner"]);
    using client = await connectWith(server, new Uint8Array([...V1, ...text("hello")]));
    await client.receivedBytes(5);
    expect(client.received.toString()).toBe("hello");
    await untilCounted(server, 5, 5);
  });

  test("a large payload right after it comes back whole, up to the client's FIN", async () => {
    await using server = await startServer(REQUIRE);
    const payload = patternBytes(3_000_000);
    using client = await connectWith(server, Buffer.concat([V1, payload]));
    client.halfClose();
    expect(await client.ended).toBe("fin");
    expect(client.body.equals(payload)).toBe(true);
  });

  test("a limit for each client counts the real one", async () => {
    await using server = await startServer([...REQUIRE, "--max-tcp-sessions-per-client", "1"]);
    using first = await connectWith(server, V1);
    await first.greeted();
    using second = await connectWith(server, V1);
    expect(await second.ended).toBe("reset");
    expect(second.bytesReceived).toBe(0);
    expect(await refusedBy(server)).toEqual({ max_sessions_per_client: 1 });
    using other = await connectWith(server, v2(0x21, 0x11, INET));
    expect((await bannerLines(other))[1]).toBe(V2_CLIENT);
    expect(await first.echoes("still there")).toBe(true);
  });
});

test("a header that names no ip:port leaves the connection's own ends in the banner", async () => {
  const nobody: [name: string, header: Uint8Array][] = [
    ["LOCAL", v2(0x20, 0x00, [])],
    ["LOCAL with addresses", v2(0x20, 0x11, INET)],
    ["LOCAL of a family to come", v2(0x20, 0xff, [1, 2, 3])],
    ["UNKNOWN", text("PROXY UNKNOWN\r\n")],
    ["UNKNOWN with addresses", text("PROXY UNKNOWN 192.0.2.7 198.51.100.2 56324 443\r\n")],
    ["UNSPEC", v2(0x21, 0x00, [])],
    ["UNIX", v2(0x21, 0x31, UNIX)],
    ["datagrams", v2(0x21, 0x12, INET)],
  ];
  await using server = await startServer(REQUIRE);
  for (const [name, header] of nobody) {
    using client = await connectWith(server, new Uint8Array([...header, ...text(name)]));
    const ends = [`Server: 127.0.0.1:${server.tcpPort}`, `Client: 127.0.0.1:${client.port}`];
    expect([name, ...(await bannerLines(client))]).toEqual([name, ...ends]);
    expect((await client.echoed(name.length)).toString()).toBe(name);
  }
  expect(await headersBy(server)).toEqual({ local: nobody.length });
});

describe("what is no header is refused, without a byte", () => {
  const refusals: [name: string, bytes: Uint8Array, reason: string][] = [
    ["plain data", text("hello there\n"), "proxy_missing"],
    ["a signature that is none after all", text("PROXY\r\n"), "proxy_missing"],
    [
      "a binary signature that is none after all",
      new Uint8Array([...SIGNATURE_V2.slice(0, 11), 0]),
      "proxy_missing",
    ],
    ["a family that is none", text("PROXY TCP5 192.0.2.7 198.51.100.2 56324 443\r\n"), "proxy_malformed"],
    ["a port too high", text("PROXY TCP4 192.0.2.7 198.51.100.2 99999 443\r\n"), "proxy_malformed"],
    ["a line feed alone", text("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\n"), "proxy_malformed"],
    ["a line without end", text("PROXY ".padEnd(107, "x")), "proxy_malformed"],
    ["version 3", v2(0x31, 0x11, INET), "proxy_malformed"],
    ["a command to come", v2(0x22, 0x11, INET), "proxy_malformed"],
    ["a family to come", v2(0x21, 0x41, INET), "proxy_malformed"],
    ["addresses cut short", v2(0x21, 0x21, INET), "proxy_malformed"],
    ["a TLV longer than the header", v2(0x21, 0x11, [...INET, 0x04, 0, 9, 1]), "proxy_malformed"],
    ["a wrong checksum", v2(0x21, 0x11, [...INET, 0x03, 0, 4, 1, 2, 3, 4]), "proxy_malformed"],
    ["a header too long, before it has come", v2(0x21, 0x11, [], 65535), "proxy_malformed"],
  ];

  test.each(refusals)("%s", async (_name, bytes, reason) => {
    await using server = await startServer(REQUIRE);
    using client = await connectWith(server, bytes);
    expect(await client.ended).toBe("reset");
    expect(client.bytesReceived).toBe(0);
    expect(await refusedBy(server)).toEqual({ [reason]: 1 });
    expect(await headersBy(server)).toEqual({});
    await untilActive(server, "tcp", 0);
    using next = await connectWith(server, V1);
    expect((await bannerLines(next))[1]).toBe(V1_CLIENT);
  });

  test("a FIN in place of the header, or in the midst of it", async () => {
    await using server = await startServer(REQUIRE);
    const partial = [new Uint8Array(0), text("PRO"), V1.subarray(0, 20), checksummed().subarray(0, 20)];
    for (const [at, bytes] of partial.entries()) {
      using client = await connectWith(server, bytes);
      client.halfClose();
      await client.ended;
      expect(client.bytesReceived).toBe(0);
      expect(await refusedBy(server)).toEqual({ proxy_missing: at + 1 });
    }
    await untilActive(server, "tcp", 0);
  });

  test("a reset in the midst of it ends the session and is no refusal", async () => {
    await using server = await startServer(REQUIRE);
    using client = await connectWith(server, V1.subarray(0, 20));
    await untilActive(server, "tcp", 1);
    client.reset();
    await untilActive(server, "tcp", 0);
    expect(await refusedBy(server)).toEqual({});
  });
});

describe("--proxy-timeout", () => {
  test("ends silence and half a header, but no session whose header came", async () => {
    await using server = await startServer(["--proxy-protocol", "require", "--proxy-timeout", "1s"]);
    using proxied = await connectWith(server, V1);
    await proxied.greeted();
    using silent = await TcpClient.connect(server.tcpPort);
    using signature = await connectWith(server, text("PROX"));
    using half = await connectWith(server, V1.subarray(0, 20));
    for (const client of [silent, signature, half]) {
      expect(await client.ended).toBe("reset");
      expect(client.bytesReceived).toBe(0);
    }
    expect(await refusedBy(server)).toEqual({ proxy_timeout: 3 });
    expect(await proxied.echoes("later than the timeout")).toBe(true);
    expect(await activeSessions(server, "tcp")).toBe(1);
  });

  test("is for the whole header: bytes that trickle in do not put it off", async () => {
    await using server = await startServer(["--proxy-protocol", "require", "--proxy-timeout", "500ms"]);
    using client = await connectWith(server, v2(0x21, 0x11, INET, 4000));
    for (let sent = 0; client.ending === null && sent < 3000; sent++) {
      client.send(new Uint8Array(1));
      await Bun.sleep(10);
    }
    expect(await client.ended).toBe("reset");
    expect(await refusedBy(server)).toEqual({ proxy_timeout: 1 });
  });

  for (const mode of ["require", "accept"]) {
    test(`is not over for a header that came in time to a server that was late to read it (${mode})`, async () => {
      await using server = await startServer(["--proxy-protocol", mode, "--proxy-timeout", "1s"]);
      using client = await TcpClient.connect(server.tcpPort);
      await untilActive(server, "tcp", 1);
      server.kill("SIGSTOP");
      try {
        await until("the server has stopped", () => isStopped(server.pid));
        client.send(V1);
        await Bun.sleep(1500);
      } finally {
        server.kill("SIGCONT");
      }
      expect((await bannerLines(client))[1]).toBe(V1_CLIENT);
      expect(await refusedBy(server)).toEqual({});
    });
  }
});

test("an address that is not trusted is refused at once, header or not", async () => {
  await using server = await startServer([...REQUIRE, "--proxy-trusted", "10.0.0.0/8,127.0.0.2/32"]);
  using silent = await TcpClient.connect(server.tcpPort);
  using liar = await connectWith(server, V1);
  expect(await silent.ended).toBe("reset");
  await liar.ended; // where its header met the reset, Bun tells of an end and not of the reset
  for (const client of [silent, liar]) {
    expect(client.bytesReceived).toBe(0);
  }
  expect(await refusedBy(server)).toEqual({ proxy_untrusted: 2 });
  using proxy = await connectWith(server, V1, { from: "127.0.0.2" });
  expect((await bannerLines(proxy)).slice(1)).toEqual([V1_CLIENT, `Via: 127.0.0.2:${proxy.port}`]);
});
