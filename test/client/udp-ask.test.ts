import { describe, expect, test } from "bun:test";
import type { FailureCode } from "../../src/client/failure.ts";
import { askUdp } from "../../src/client/udp-ask.ts";
import { UdpFlow, type UdpOptions } from "../../src/client/udp-flow.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { startServer } from "../harness.ts";
import { bad, endpoint, good, message, PATIENCE_MS, SHORT_MS } from "./fixtures.ts";
import { freePort, udpServer } from "./servers.ts";

const open = async (target: Endpoint, options: UdpOptions = {}): Promise<UdpFlow> =>
  good(await UdpFlow.open(target, options));

describe("one question by UDP", () => {
  test("is answered after a banner or without one", async () => {
    await using greeting = await startServer();
    await using plain = await startServer(["--no-banner"]);
    for (const server of [greeting, plain]) {
      await using flow = await open(endpoint(`127.0.0.1:${server.udpPort}`));
      const first = good(await askUdp(flow, message(0), PATIENCE_MS));
      expect(first.banner?.client.port).toBe(server === greeting ? flow.local.port : undefined);
      expect(first.roundTripMs).toBeGreaterThan(0);
      expect(good(await askUdp(flow, message(1), PATIENCE_MS)).banner).toBeNull();
    }
  });

  test("is sent again until it is answered", async () => {
    let asked = 0;
    using server = await udpServer((bytes, send) => void (++asked === 3 && send(bytes)));
    await using flow = await open(server.endpoint);
    good(await askUdp(flow, message(0), PATIENCE_MS, 20));
    expect(asked).toBe(3);
  });

  test("passes over late answers to earlier ones, and strangers", async () => {
    using server = await udpServer((bytes, send) => {
      send(message(7));
      send(bytes);
    });
    await using flow = await open(server.endpoint);
    good(await askUdp(flow, message(0), PATIENCE_MS));
    using mute = await udpServer(() => {});
    const stranger = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { error() {} } });
    await using unanswered = await open(mute.endpoint);
    stranger.send(message(0), unanswered.local.port, "127.0.0.1");
    expect(bad(await askUdp(unanswered, message(0), SHORT_MS)).code).toBe("timeout");
    stranger.close();
  });

  test("fails with what was told: nothing, something else, a refusal, the end", async () => {
    using mute = await udpServer(() => {});
    using wrong = await udpServer((_bytes, send) => send(message(9)));
    const asked: [Endpoint, string][] = [
      [mute.endpoint, "timeout"],
      [wrong.endpoint, "corrupted"],
      [endpoint(`127.0.0.1:${freePort()}`), "refused"],
    ];
    for (const [target, code] of asked) {
      await using flow = await open(target);
      expect(bad(await askUdp(flow, message(0), SHORT_MS)).code).toBe(code as FailureCode);
    }
    const flow = await open(mute.endpoint);
    const waiting = askUdp(flow, message(0), PATIENCE_MS, 20);
    flow.end();
    expect(bad(await waiting).code).toBe("ended");
    expect(bad(await askUdp(flow, message(0), PATIENCE_MS)).code).toBe("ended");
  });
});
