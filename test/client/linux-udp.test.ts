import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { Failure } from "../../src/client/failure.ts";
import { linuxSockets } from "../../src/client/linux/sockets.ts";
import { readPayload } from "../../src/client/payload.ts";
import { UdpFlow, type UdpOptions, wayTo } from "../../src/client/udp-flow.ts";
import type { Datagram } from "../../src/client/udp-inbox.ts";
import { formatAddress } from "../../src/net/address.ts";
import { readBanner } from "../../src/net/banner.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/net/endpoint.ts";
import { mappedBytes } from "../clients/machine.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer } from "../harness.ts";
import { bad, endpoint, good, KEY, message, PATIENCE_MS, SHORT_MS, SIZE } from "./fixtures.ts";
import { freePort, socatEcho, udpServer } from "./servers.ts";

await requireTools();

const sockets = linuxSockets();
if (sockets === null) throw new Error("these tests need Linux");

const open = async (target: Endpoint, options: UdpOptions = {}): Promise<UdpFlow> =>
  good(await UdpFlow.open(target, { ...options, open: sockets.openUdp }));

async function datagram(flow: UdpFlow): Promise<Datagram> {
  return good(await flow.receive(PATIENCE_MS));
}

for (const connected of [false, true]) {
  describe(`a UDP flow by system calls, ${connected ? "connected" : "not connected"},`, () => {
    test("hears banner and echo over IPv4 and IPv6, and all that the kernel says of each", async () => {
      await using server = await startServer(["--host", "::1", "--host", "127.0.0.1"]);
      for (const target of server.udp.map(endpoint)) {
        await using flow = await open(target, { connected });
        const sentAtMs = performance.now();
        expect(flow.send(message(0))).toBeNull();
        const banner = await datagram(flow);
        expect(sameEndpoint(readBanner(banner.bytes)!.server, target)).toBe(true);
        let lastAtMs = sentAtMs;
        for (let number = 0; number < 20; number++) {
          if (number > 0) expect(flow.send(message(number))).toBeNull();
          const { bytes, from, to, ttl, fragmentBytes, atMs } = await datagram(flow);
          expect(readPayload(bytes, KEY, number + 1, () => SIZE)).toEqual({ kind: "own", number });
          expect(sameEndpoint(from!, target)).toBe(true);
          expect({ to: formatAddress(to!), ttl, fragmentBytes }).toEqual({
            to: formatAddress(target.address),
            ttl: 64,
            fragmentBytes: 0,
          });
          expect(atMs).toBeGreaterThan(lastAtMs);
          expect(atMs).toBeLessThanOrEqual(performance.now());
          lastAtMs = atMs;
        }
        expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
      }
    });

    test("hears a plain echo from 0 to 65,507 bytes, several of the largest at once", async () => {
      await using server = await startServer(["--no-banner", "--host", "::1", "--host", "127.0.0.1"]);
      for (const dontFragment of [false, true]) {
        for (const target of server.udp.map(endpoint)) {
          await using flow = await open(target, { connected, dontFragment });
          for (const size of [1400, 0, 1, 65_487]) {
            expect(flow.send(message(3, size))).toBeNull();
            expect(Buffer.compare((await datagram(flow)).bytes, message(3, size))).toBe(0);
          }
        }
      }
      await using flow = await open(endpoint(server.udp.find((text) => text.startsWith("127"))!));
      for (let number = 0; number < 4; number++) expect(flow.send(message(number, 65_507))).toBeNull();
      for (let number = 0; number < 4; number++) expect((await datagram(flow)).bytes.length).toBe(65_507);
      await using socat = await socatEcho("UDP");
      await using plain = await open(socat.endpoint, { connected });
      plain.send(message(0));
      expect((await datagram(plain)).bytes.length).toBe(SIZE);
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
      expect(formatAddress((await datagram(flow)).to!)).toBe("127.0.0.9");
      const options = { connected, source, open: sockets.openUdp };
      expect(bad(await UdpFlow.open(server.endpoint, options)).code).toBe("port_in_use_here");
      const stranger = { ...options, source: { address: endpoint("203.0.113.7:0").address } };
      expect(bad(await UdpFlow.open(server.endpoint, stranger)).code).toBe("no_such_address");
    });
  });

  describe(`a UDP flow by system calls, ${connected ? "connected" : "not connected"}, in trouble,`, () => {
    test("is told who refused which datagram, once each, and lives on", async () => {
      for (const target of [endpoint(`127.0.0.1:${freePort()}`), endpoint("[::1]:1")]) {
        await using flow = await open(target, { connected });
        for (let number = 0; number < 50; number++) expect(flow.send(message(number))).toBeNull();
        for (let number = 0; number < 50; number++) {
          const { code, detail, icmp } = bad(await flow.receive(PATIENCE_MS));
          expect([code, detail, icmp?.mtu]).toEqual(["refused", "ECONNREFUSED", null]);
          expect(formatAddress(icmp!.by)).toBe(formatAddress(target.address));
          expect(formatEndpoint(icmp!.to!)).toBe(formatEndpoint(target));
        }
        expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
      }
    });

    test("reaches another end though the first refused", async () => {
      if (connected) return;
      using server = await udpServer();
      await using flow = await open(endpoint(`127.0.0.1:${freePort()}`));
      for (let number = 0; number < 20; number++) {
        expect(flow.send(message(number))).toBeNull();
        expect(flow.send(message(number), server.endpoint)).toBeNull();
      }
      const seen = { refused: 0, echoed: 0 };
      while (seen.refused + seen.echoed < 40) {
        const came = await flow.receive(PATIENCE_MS);
        if (came instanceof Failure && came.code === "refused") seen.refused++;
        else if (formatEndpoint(good(came).from!) === formatEndpoint(server.endpoint)) seen.echoed++;
      }
      expect(seen).toEqual({ refused: 20, echoed: 20 });
    });

    test("says that a datagram is too big, once", async () => {
      using server = await udpServer();
      for (const dontFragment of [false, true]) {
        await using flow = await open(server.endpoint, { connected, dontFragment });
        for (const size of [65_508, 65_600, 65_508]) {
          expect(bad(flow.send(message(0, size))).code).toBe("too_big");
        }
        flow.send(message(1));
        expect((await datagram(flow)).bytes.length).toBe(SIZE);
        expect(bad(await flow.receive(SHORT_MS)).code).toBe("timeout");
      }
    });

    test("hands out what had come before it ended, then says so; and is aborted by its signal", async () => {
      await using socat = await socatEcho("UDP");
      const flow = await open(socat.endpoint, { connected });
      flow.send(message(0));
      const first = await flow.receive(PATIENCE_MS);
      expect(good(first).bytes.length).toBe(SIZE);
      flow.end();
      flow.end();
      expect(bad(await flow.receive(PATIENCE_MS)).code).toBe("ended");
      expect(bad(flow.send(message(1))).code).toBe("ended");
      const abort = new AbortController();
      const { signal } = abort;
      await using other = await open(socat.endpoint, { connected, signal });
      const waiting = other.receive(PATIENCE_MS);
      abort.abort();
      expect(bad(await waiting).code).toBe("aborted");
      expect(bad(other.send(message(0))).code).toBe("aborted");
    });
  });
}

test("a datagram's time is the kernel's, however late this thread is to read it", async () => {
  await using server = await startServer(["--no-banner"]);
  await using flow = await open(endpoint(`127.0.0.1:${server.udpPort}`));
  flow.send(message(0)); // all that is made once is made
  await datagram(flow);
  for (let number = 1; number <= 5; number++) {
    const sentAtMs = performance.now();
    flow.send(message(number));
    Bun.sleepSync(2 * SHORT_MS);
    const { atMs } = await datagram(flow);
    expect(atMs - sentAtMs).toBeGreaterThan(0);
    expect(atMs - sentAtMs).toBeLessThan(2 * SHORT_MS);
  }
});

test("an answer from another port is seen with its sender by a flow that is not connected", async () => {
  using server = await udpServer();
  await using stranger = await open(server.endpoint);
  await using flow = await open(server.endpoint);
  const to = { ...flow.local, address: endpoint("127.0.0.1:0").address };
  stranger.send(message(5), to);
  const came = await datagram(flow);
  expect(came.from!.port).toBe(stranger.local.port);
  expect(flow.isFromTarget(came)).toBe(false);
});

test("the way to an end is told by system calls too", async () => {
  expect(formatAddress(good(await wayTo(endpoint("127.0.0.1:9"), {}, sockets.openUdp)).address)).toBe(
    "127.0.0.1",
  );
});

test("a thousand flows in turn leave neither descriptors nor mappings behind", async () => {
  await using server = await startServer(["--no-banner"]);
  const target = endpoint(`127.0.0.1:${server.udpPort}`);
  const visit = async (number: number): Promise<void> => {
    await using flow = await open(target, { connected: number % 2 === 0 });
    flow.send(message(number));
    expect((await datagram(flow)).bytes.length).toBe(SIZE);
  };
  for (let number = 0; number < 100; number++) await visit(number);
  const [descriptors, mapped] = [readdirSync("/proc/self/fd").length, mappedBytes()];
  for (let number = 0; number < 1000; number++) await visit(number);
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(descriptors);
  expect(mappedBytes() - mapped).toBeLessThan(1000 * 65_536); // one buffer a flow would be more
});
