import { describe, expect, test } from "bun:test";
import { TcpProbe } from "../src/admin/probe-tcp.ts";
import { formatAddress } from "../src/net/address.ts";
import { endpointOf } from "../src/net/endpoint.ts";
import { type LastClient, lastClients } from "../src/state/last-clients.ts";
import { Here } from "./clients/loops.ts";
import { TcpClient } from "./clients/tcp.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { until } from "./harness.ts";

/** The clients seen last, as real loops of either engine write them down (ECHO_TEST_ENGINE, ECHO_TEST_WORKERS). */

const seen = (here: Here): LastClient[] => lastClients(here.tables)!;

function of(here: Here, address: string, protocol: "tcp" | "udp"): LastClient | undefined {
  return seen(here).find(
    (client) => client.protocol === protocol && formatAddress(client.client.address) === address,
  );
}

describe("a client on the network", () => {
  test("TCP: has its sessions and bytes, those of the session that goes on too", async () => {
    const before = Date.now();
    await using here = await Here.start({}, 8);
    for (let at = 0; at < 3; at++) {
      using client = await TcpClient.connect(here.tcpPort, { from: "127.0.0.9" });
      await client.greeted();
      await client.echoes("x".repeat(1000));
    }
    await until("their end", () => of(here, "127.0.0.9", "tcp")?.open === false);
    using client = await TcpClient.connect(here.tcpPort, { from: "127.0.0.9" });
    await client.greeted();
    await client.echoes("y".repeat(5));
    const row = of(here, "127.0.0.9", "tcp")!;
    expect(row).toMatchObject({ sessions: 4, bytes: 3005, open: true });
    expect(row.client.port).toBe(client.port);
    expect(row.openedAtMs).toBeGreaterThanOrEqual(before - 1);
    expect(row.openedAtMs).toBeLessThanOrEqual(Date.now() + 1);
  });

  test("UDP: has the bytes of all its datagrams", async () => {
    await using here = await Here.start({ udpIdleTimeoutMs: 60_000 }, 8);
    using client = await UdpClient.open(here.udpPort, { from: "127.0.0.8" });
    for (let at = 1; at <= 40; at++) {
      client.send("z".repeat(at));
      await client.receives(1 + at);
    }
    expect(of(here, "127.0.0.8", "udp")).toMatchObject({ sessions: 1, bytes: 820, open: true });
  });

  test("is one of few that are kept, the newest, whoever came before", async () => {
    await using here = await Here.start({ maxUdpSessions: 1000 }, 4);
    for (let at = 0; at < 300; at++) {
      // Below the ports that a system gives: by one in 28,000 it would be the server's own, whose datagrams are dropped.
      using client = await UdpClient.open(here.udpPort, {
        from: `127.3.${1 + (at >> 8)}.${at & 255}`,
        fromPort: 20_000,
      });
      await greet(client);
    }
    const numbers = seen(here).map(({ client }) => (client.address.a3 & 0xffff) - 256);
    expect(numbers.length).toBe(4);
    expect(Math.min(...numbers)).toBeGreaterThan(280); // two loops' clocks are not the same to the millisecond
    if (here.tables.loops === 1) expect(numbers).toEqual([299, 298, 297, 296]);
  });

  test("is not the server's own probe", async () => {
    await using here = await Here.start({}, 8);
    const probe = new TcpProbe(here.tables, endpointOf("127.0.0.1", here.tcpPort)!);
    expect(await probe.ask(5000)).toBeNull();
    probe.close();
    expect(seen(here)).toEqual([]);
  });
});

test("off means that nothing is kept", async () => {
  await using here = await Here.start();
  using client = await UdpClient.open(here.udpPort);
  await greet(client);
  expect(lastClients(here.tables)).toBeNull();
});
