import { describe, expect, test } from "bun:test";
import { Failure } from "../../src/client/failure.ts";
import { readPayload } from "../../src/client/payload.ts";
import { UdpFlow, type UdpOptions, wayTo } from "../../src/client/udp-flow.ts";
import type { Datagram } from "../../src/client/udp-inbox.ts";
import { formatAddress, isIPv4 } from "../../src/net/address.ts";
import { readBanner } from "../../src/net/banner.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/net/endpoint.ts";
import { sendTo } from "../clients/send-to.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer } from "../harness.ts";
import { bad, endpoint, good, KEY, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { freePort, socatEcho, udpServer } from "./servers.ts";

await requireTools();

const open = async (target: Endpoint, options: UdpOptions = {}): Promise<UdpFlow> =>
  good(await UdpFlow.open(target, options));

/** The next datagram. */
async function datagram(flow: UdpFlow): Promise<Datagram> {
  return good(await flow.receive(PATIENCE_MS));
}

for (const connected of [false, true]) {
  describe(`a UDP flow, ${connected ? "connected" : "not connected"},`, () => {
    test("hears the banner, then its echo, then one echo a datagram", async () => {
      await using server = await startServer();
      const target = endpoint(`127.0.0.1:${server.udpPort}`);
      await using flow = await open(target, { connected });
      expect(flow.send(message(0))).toBeNull();
      const banner = readBanner((await datagram(flow)).bytes)!;
      expect(sameEndpoint(banner.server, target)).toBe(true);
      expect(banner.client.port).toBe(flow.local.port);
      for (let number = 0; number < 20; number++) {
        if (number > 0) expect(flow.send(message(number))).toBeNull();
        const { bytes, from, atMs } = await datagram(flow);
        expect(readPayload(bytes, KEY, number + 1, () => SIZE)).toEqual({ kind: "own", number });
        expect(sameEndpoint(from!, target)).toBe(true);
        expect(atMs).toBeLessThanOrEqual(performance.now());
      }
      expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
    });

    test("hears a plain echo, over IPv6 too, from 0 to 65,507 bytes", async () => {
      await using server = await startServer(["--no-banner", "--host", "::1", "--host", "127.0.0.1"]);
      const udp = await Promise.all(server.udp.map((text) => open(endpoint(text), { connected })));
      for (const flow of udp) {
        await using _ = flow;
        for (const size of [1400, 0, 1, 65_507]) {
          expect(flow.send(message(3, size))).toBeNull();
          expect(Buffer.compare((await datagram(flow)).bytes, message(3, size))).toBe(0);
        }
      }
      await using socat = await socatEcho("UDP");
      await using flow = await open(socat.endpoint, { connected });
      flow.send(message(0));
      expect((await datagram(flow)).bytes.length).toBe(SIZE);
    });

    test("comes from the address and the port that were asked for", async () => {
      using server = await udpServer();
      const told: number[] = [];
      const bound = (port: number): void => void told.push(port);
      const source = { address: endpoint("127.0.0.9:0").address, port: freePort(), bound };
      await using flow = await open(server.endpoint, { connected, source });
      expect(formatEndpoint(flow.local)).toBe(`127.0.0.9:${source.port}`);
      expect(told).toEqual([source.port]);
      flow.send(message(0));
      await datagram(flow);
      expect(bad(await UdpFlow.open(server.endpoint, { connected, source })).code).toBe("port_in_use_here");
    });

    test("has no such address where its source is not this machine's, or of the other family", async () => {
      for (const text of ["203.0.113.7:0", "[::1]:0"]) {
        const source = { address: endpoint(text).address };
        const failure = bad(await UdpFlow.open(endpoint("127.0.0.1:9"), { connected, source }));
        expect([text, failure.code]).toEqual([text, "no_such_address"]);
      }
    });
  });

  describe(`a UDP flow, ${connected ? "connected" : "not connected"}, in trouble or at its end,`, () => {
    test("is refused where nobody listens, once a datagram, and lives on", async () => {
      const target = endpoint(`127.0.0.1:${freePort()}`);
      await using flow = await open(target, { connected });
      for (let number = 0; number < 5; number++) {
        expect(flow.send(message(number))).toBeNull();
        const failure = bad(await flow.receive(PATIENCE_MS));
        expect([failure.code, failure.detail]).toEqual(["refused", "ECONNREFUSED"]);
      }
      expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
    });

    test("sends every datagram though earlier ones were refused", async () => {
      const target = endpoint(`127.0.0.1:${freePort()}`);
      await using flow = await open(target, { connected });
      for (let number = 0; number < 50; number++) expect(flow.send(message(number))).toBeNull();
      let refused = 0;
      while ((await flow.receive(SHORT_MS)) instanceof Failure && refused < 50) refused++;
      expect(refused).toBe(50);
    });

    test("says that a datagram is too big, once", async () => {
      using server = await udpServer();
      await using flow = await open(server.endpoint, { connected });
      expect(bad(flow.send(message(0, 65_508))).code).toBe("too_big");
      flow.send(message(1));
      expect((await datagram(flow)).bytes.length).toBe(SIZE);
      expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
    });

    test("hands out what had come before it ended, then says so", async () => {
      using server = await udpServer((bytes, send) => {
        send(bytes);
        send(bytes);
      });
      const flow = await open(server.endpoint, { connected });
      flow.send(message(0));
      await datagram(flow);
      await Bun.sleep(SHORT_MS);
      flow.end();
      flow.end();
      expect((await datagram(flow)).bytes.length).toBe(SIZE);
      expect(bad(await flow.receive(PATIENCE_MS)).code).toBe("ended");
      expect(bad(flow.send(message(1))).code).toBe("ended");
    });

    test("is aborted by its signal, before and while it waits", async () => {
      using server = await udpServer(() => {});
      const abort = new AbortController();
      const { signal } = abort;
      await using flow = await open(server.endpoint, { connected, signal });
      const waiting = flow.receive(PATIENCE_MS);
      abort.abort();
      expect(bad(await waiting).code).toBe("aborted");
      expect(bad(flow.send(message(0))).code).toBe("aborted");
      expect(bad(await UdpFlow.open(server.endpoint, { connected, signal })).code).toBe("aborted");
    });
  });
}

describe("an answer from another port", () => {
  test("is seen by a flow that is not connected, with its sender, and not by one that is", async () => {
    const error = (): void => {}; // the kernel tells of whom it did not reach
    const other = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { error } });
    const server = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: { error, data: (_own, bytes, port, host) => sendTo(other, bytes, port, host) },
    });
    const target = endpoint(`127.0.0.1:${server.port}`);
    await using flow = await open(target);
    flow.send(message(0));
    const came = await datagram(flow);
    expect(formatEndpoint(came.from!)).toBe(`127.0.0.1:${other.port}`);
    expect(flow.isFromTarget(came)).toBe(false);
    await using deaf = await open(target, { connected: true });
    deaf.send(message(0));
    const failure = bad(await deaf.receive(SHORT_MS));
    expect(failure.code).toBe("timeout");
    other.close();
    server.close();
  });
});

test("datagrams that nobody asks for cost bounded memory, and are counted", async () => {
  const big = new Uint8Array(60_000);
  using server = await udpServer((_bytes, send) => {
    for (let n = 0; n < 3; n++) send(big);
  });
  await using flow = await open(server.endpoint);
  for (let number = 0; flow.dropped === 0; number++) {
    flow.send(message(number));
    await Bun.sleep(1);
  }
  let kept = 0;
  while (!((await flow.receive(0)) instanceof Failure)) kept++;
  expect(kept * big.length).toBeLessThan(5 * 1024 * 1024);
});

describe("the way to an end", () => {
  test("is told by this end's address, without sending anything", async () => {
    let datagrams = 0;
    using server = await udpServer(() => void datagrams++);
    const way = good(await wayTo(server.endpoint));
    expect(formatAddress(way.address)).toBe("127.0.0.1");
    const from = { address: endpoint("127.0.0.9:0").address };
    expect(formatAddress(good(await wayTo(server.endpoint, from)).address)).toBe("127.0.0.9");
    expect(isIPv4(good(await wayTo(endpoint("[::1]:9"))).address)).toBe(false);
    await Bun.sleep(SHORT_MS);
    expect(datagrams).toBe(0);
  });
});
