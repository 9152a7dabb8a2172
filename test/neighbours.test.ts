import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { patternBytes } from "./clients/bytes.ts";
import { ownLoopback } from "./clients/loopback.ts";
import { type Front, freePort, haproxyServers, Neighbour, neighbourFolder } from "./clients/neighbours.ts";
import { bannerLines, headersBy, refusedBy } from "./clients/proxied.ts";
import { TcpClient, type TcpClientOptions } from "./clients/tcp.ts";
import { requireTools } from "./clients/tools.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Real proxies in front of the server: HAProxy and nginx as Debian has them, as people set them up. */

beforeAll(requireTools, 300_000);

const REQUIRE = ["--proxy-protocol", "require", "--proxy-timeout", "1m"];
const LARGE_BYTES = 20_000_000;

/** A place of its own for a proxy, where nobody else's port can be in the way. */
const place = (): { host: string; port: number } => {
  const host = ownLoopback();
  return { host, port: freePort(host) };
};

/** Often: so many that one in a hundred that fails would be seen. */
const CHECK = "check inter 50ms";

const behind = (server: EchoServer, options: string): string =>
  `server echo 127.0.0.1:${server.tcpPort} ${options}`;

/** A session through a proxy: says whom the server saw, and echoes. Gives the banner's lines. */
async function visit({ host, port }: Front, options: TcpClientOptions = {}): Promise<readonly string[]> {
  using client = await TcpClient.connect(port, { host, ...options });
  const [server, ...others] = await bannerLines(client);
  expect(server).toStartWith("Server: 127.0.0.1:");
  expect(await client.echoes("through a proxy")).toBe(true);
  return [...others, `Port: ${client.port}`];
}

/** What HAProxy thinks of the servers behind it: state, last check, how many failed. */
async function seenBy({ folder }: Neighbour): Promise<string[]> {
  return (await haproxyServers(folder)).map(({ status, check, failed }) => `${status} ${check} ${failed}`);
}

async function firstChecks(haproxy: Neighbour): Promise<void> {
  await until("a first check of each", async () => (await seenBy(haproxy)).every((it) => / L\d/.test(it)));
}

/** Both directions at once, then the client's FIN, and the rest of the echo before the server's. */
async function sendsMuch({ host, port }: Front): Promise<void> {
  const payload = patternBytes(LARGE_BYTES);
  using client = await TcpClient.connect(port, { host });
  client.send(payload);
  client.halfClose();
  expect(await client.ended).toBe("fin");
  expect(client.body.length).toBe(LARGE_BYTES);
  expect(client.body.equals(payload)).toBe(true);
}

describe("HAProxy", () => {
  const versions: [options: string, kind: string][] = [
    ["send-proxy", "v1"],
    ["send-proxy-v2", "v2"],
    ["send-proxy-v2 proxy-v2-options crc32c", "v2"],
    ["send-proxy-v2 proxy-v2-options unique-id,crc32c", "v2"],
  ];

  test.each(versions)(
    "%s: the client is the real one, and 20 MB and a half-close pass",
    async (how, kind) => {
      await using server = await startServer(REQUIRE);
      const front = { ...place(), lines: ["unique-id-format %{+X}o\\ %ci:%cp-%Ts", behind(server, how)] };
      await using _ = await Neighbour.haproxy([front]);
      const from = ownLoopback();
      const [client, via, port] = await visit(front, { from });
      expect(client).toBe(`Client: ${from}:${port!.slice("Port: ".length)}`);
      expect(via).toStartWith("Via: 127.0.0.1:");
      await sendsMuch(front);
      expect(await headersBy(server)).toEqual({ [kind]: 2 });
      expect(await refusedBy(server)).toEqual({});
    },
  );

  test("TLS ended there: authority, cipher and checksum in the header, and the echo", async () => {
    await using server = await startServer(REQUIRE);
    const folder = await neighbourFolder();
    const pem = join(folder, "pem");
    await certificate(pem);
    const how =
      "send-proxy-v2-ssl proxy-v2-options authority,ssl,ssl-cipher,cert-key,cert-sig,unique-id,crc32c";
    using recorder = new Recorder();
    const fronts = [server.tcpPort, recorder.port].map((port) => {
      const { host, port: own } = place();
      const lines = [
        `bind ${host}:${own} ssl crt ${pem}`,
        "unique-id-format %{+X}o\\ %ci:%cp-%Ts",
        `server echo 127.0.0.1:${port} ${how}`,
      ];
      return { front: { host: "", port: 0, lines }, reached: { host, port: own, lines } };
    });
    await using _ = await Neighbour.haproxy(
      fronts.map(({ front }) => front),
      folder,
    );
    const [toServer, toRecorder] = fronts.map(({ reached }) => reached);
    const [client, via, port] = await visit(toServer!, { tlsName: "echo.example" });
    expect(client).toBe(`Client: 127.0.0.1:${port!.slice("Port: ".length)}`);
    expect(via).toStartWith("Via: 127.0.0.1:");
    expect(await headersBy(server)).toEqual({ v2: 1 });
    // That the header was what this test is about.
    using _client = await TcpClient.connect(toRecorder!.port, {
      host: toRecorder!.host,
      tlsName: "echo.example",
    });
    await until("a header", () => recorder.types.length > 0);
    expect(recorder.types).toEqual([AUTHORITY, CRC32C, UNIQUE_ID, SSL]);
  });

  test("an IPv6 client over an IPv4 hop", async () => {
    await using server = await startServer(REQUIRE);
    const fronts = ["send-proxy", "send-proxy-v2"].map((how) => ({
      host: "[::1]",
      port: freePort("::1"),
      lines: [behind(server, how)],
    }));
    await using _ = await Neighbour.haproxy(fronts);
    for (const front of fronts) {
      const [client, via, port] = await visit({ ...front, host: "::1" });
      expect(client).toBe(`Client: [::1]:${port!.slice("Port: ".length)}`);
      expect(via).toStartWith("Via: 127.0.0.1:");
    }
  });
});

describe("HAProxy's health checks", () => {
  test("find the server up, with a header and without", async () => {
    await using accepting = await startServer(["--proxy-protocol", "accept"]);
    await using requiring = await startServer(REQUIRE);
    const reading = ["option tcp-check", "tcp-check expect string Client:"];
    const checked: [seen: string, lines: readonly string[]][] = [
      // Connect, send the header, wait for the banner.
      ["UP L7OK 0", [...reading, behind(accepting, `send-proxy-v2 ${CHECK} check-send-proxy`)]],
      ["UP L7OK 0", [...reading, behind(requiring, `send-proxy-v2 ${CHECK} check-send-proxy`)]],
      ["UP L7OK 0", [...reading, behind(requiring, `send-proxy ${CHECK} check-send-proxy`)]],
      // Connect, send the header, and away with a reset.
      ["UP L4OK 0", [behind(accepting, `send-proxy-v2 ${CHECK} check-send-proxy`)]],
      ["UP L4OK 0", [behind(requiring, `send-proxy-v2 ${CHECK} check-send-proxy`)]],
      // A port that is named is asked without a header: connect, and away.
      ["UP L4OK 0", [behind(accepting, `${CHECK} port ${accepting.tcpPort}`)]],
      ["UP L4OK 0", [behind(requiring, `send-proxy-v2 ${CHECK} port ${requiring.tcpPort}`)]],
    ];
    const fronts = checked.map(([, lines]) => ({ ...place(), lines }));
    await using haproxy = await Neighbour.haproxy(fronts);
    await firstChecks(haproxy);
    await until("10 checks of each kind of header", async () => {
      const { v1 = 0, local = 0 } = await headersBy(requiring); // a check of version 2 says LOCAL
      return Math.min(v1, local) >= 10;
    });
    expect(await seenBy(haproxy)).toEqual(checked.map(([seen]) => seen));
    const [client, via] = await visit(fronts[1]!);
    expect(client).toStartWith("Client: 127.0.0.1:");
    expect(via).toStartWith("Via: 127.0.0.1:");
  });

  const requests: [name: string, lines: readonly string[]][] = [
    ["HTTP/1.0 without Host", []],
    ["HTTP/1.1", ["http-check send ver HTTP/1.1 hdr Host echo.example"]],
  ];

  test.each(requests)("of the admin port find it up, %s", async (_name, lines) => {
    await using server = await startServer(REQUIRE);
    const fronts = ["/livez", "/readyz"].map((path) => ({
      ...place(),
      lines: [
        `option httpchk GET ${path}`,
        ...lines,
        behind(server, `send-proxy-v2 ${CHECK} port ${server.adminPort}`),
      ],
    }));
    await using haproxy = await Neighbour.haproxy(fronts);
    await firstChecks(haproxy);
    expect(await seenBy(haproxy)).toEqual(["UP L7OK 0", "UP L7OK 0"]);
    await visit(fronts[0]!);
  });
});

describe("nginx", () => {
  const tcp = (server: EchoServer): readonly string[] => [
    "",
    "proxy_protocol on;",
    "proxy_half_close on;",
    `proxy_pass 127.0.0.1:${server.tcpPort};`,
  ];

  test("the client is the real one, and 20 MB and a half-close pass", async () => {
    await using server = await startServer(REQUIRE);
    const front = { ...place(), lines: tcp(server) };
    await using _ = await Neighbour.nginx([front]);
    const from = ownLoopback();
    const [client, via, port] = await visit(front, { from });
    expect(client).toBe(`Client: ${from}:${port!.slice("Port: ".length)}`);
    expect(via).toStartWith("Via: 127.0.0.1:");
    await sendsMuch(front);
    expect(await headersBy(server)).toEqual({ v1: 2 });
    expect(await refusedBy(server)).toEqual({});
  });

  test("an IPv6 client over an IPv4 hop", async () => {
    await using server = await startServer(REQUIRE);
    const front = { host: "[::1]", port: freePort("::1"), lines: tcp(server) };
    await using _ = await Neighbour.nginx([front]);
    const [client, via, port] = await visit({ ...front, host: "::1" });
    expect(client).toBe(`Client: [::1]:${port!.slice("Port: ".length)}`);
    expect(via).toStartWith("Via: 127.0.0.1:");
  });

  test("UDP: clients at once, each with its own banner and its own echoes", async () => {
    await using server = await startServer();
    const lines = ["udp reuseport", `proxy_pass 127.0.0.1:${server.udpPort};`];
    const kept = { ...place(), lines };
    // After a banner and an echo nginx forgets a client: its next datagram is a new session of the server's.
    const forgetful = { ...place(), lines: [...lines, "proxy_responses 2;"] };
    await using _ = await Neighbour.nginx([kept, forgetful]);
    await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        using client = await UdpClient.open(kept.port, { host: kept.host });
        expect(await greet(client)).toContain("\nClient: 127.0.0.1:");
        for (let word = 0; word < 10; word++) {
          expect((await client.asks(`client ${at} word ${word}`)).toString()).toBe(
            `client ${at} word ${word}`,
          );
        }
        expect(client.received).toHaveLength(12);
      }),
    );
    using client = await UdpClient.open(forgetful.port, { host: forgetful.host });
    for (let turn = 0; turn < 5; turn++) {
      client.send(`turn ${turn}`);
      const answers = (await client.receives(2 * (turn + 1))).slice(-2).map(String);
      expect(answers).toEqual([expect.stringContaining("\nServer: 127.0.0.1:"), `turn ${turn}`]);
    }
  });
});

/** TLVs of the PROXY protocol, version 2 (its specification, 2.2), by their types. */
const [AUTHORITY, CRC32C, UNIQUE_ID, SSL] = [0x02, 0x03, 0x05, 0x20];

/** A key and a certificate for it, of the test's own, in one file as HAProxy wants it. */
async function certificate(file: string): Promise<void> {
  const command =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=echo.example -keyout - -out -";
  const made = Bun.spawn(command.split(" "), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [pem, errors, exitCode] = await Promise.all([made.stdout.text(), made.stderr.text(), made.exited]);
  if (exitCode !== 0) throw new Error(errors);
  await Bun.write(file, pem);
}

/** In the server's place: takes one header of version 2 and tells the types of its TLVs, in ascending order. */
class Recorder implements Disposable {
  types: number[] = [];
  #bytes = Buffer.alloc(0);
  readonly #listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (_socket, chunk) => this.#take(chunk) },
  });

  get port(): number {
    return this.#listener.port;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = this.#bytes.length < 16 ? Infinity : 16 + this.#bytes.readUInt16BE(14);
    if (this.#bytes.length < end) return;
    const types: number[] = [];
    for (let at = 16 + 12; at < end; at += 3 + this.#bytes.readUInt16BE(at + 1)) types.push(this.#bytes[at]!);
    this.types = types.sort((a, b) => a - b);
  }
}
