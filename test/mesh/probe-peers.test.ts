import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { PROBES } from "../../src/diagnose/mesh/seen.ts";
import { until } from "../harness.ts";
import {
  connectionsAt,
  ENGINES,
  faultsOf,
  freePorts,
  membersAt,
  portsOf,
  startProber,
} from "./probe-fixtures.ts";

/** A prober and peers that are what they must be. */

const TIME_WAIT = 6;

function host(at: number): string {
  return `127.0.41.${at}`;
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

for (const [engine, sockets] of ENGINES) {
  describe(`peers that are well, by ${engine}`, () => {
    test("are asked by all probes, by held flows and new ones, and nothing is left behind", async () => {
      const ports = freePorts();
      const members = [1, 2, 3, 4].map(host);
      await using _ = await membersAt(members.slice(1), ports);
      await using prober = startProber(sockets, members, { ...ports, address: host(1) });
      const isAsked = (peer: string): boolean => PROBES.every((probe) => prober.of(peer, probe).length >= 10);
      await until("each was asked ten times by each", () => members.slice(1).every(isAsked));
      expect(prober.of(host(1))).toEqual([]);
      expect(faultsOf(prober.probes)).toEqual([null]);
      for (const seen of prober.probes) {
        const isTcp = seen.probe !== "udp";
        const port = isTcp ? ports.tcpPort : ports.udpPort;
        expect(seen).toMatchObject({ server: `${seen.peer}:${port}`, rttMs: expect.any(Number) });
        expect(seen).toMatchObject({ sent: 1, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
        expect(seen.flow).toMatch(
          new RegExp(`^${isTcp ? "tcp" : "udp"} 127.0.0.1:\\d+ > ${seen.peer}:${port}$`),
        );
        expect(seen.connectMs !== null).toBe(seen.probe === "tcp-new");
        expect(seen.hops).toBe(isTcp || !sockets.bySystemCalls ? null : 0);
      }
      for (const peer of members.slice(1)) {
        expect(portsOf(prober.of(peer, "tcp-held"))).toHaveLength(1);
        expect(portsOf(prober.of(peer, "udp"))).toHaveLength(1);
        expect(portsOf(prober.of(peer, "tcp-new")).length).toBeGreaterThanOrEqual(9);
      }
      expect(await connectionsAt(ports.tcpPort)).not.toContain(TIME_WAIT);
    });

    test("come and go: one that has gone has nothing open and is asked no more, and one that came is asked", async () => {
      const ports = freePorts();
      await using server = await membersAt([2, 3].map(host), ports);
      const before = descriptors();
      await using prober = startProber(sockets, [1, 2].map(host), { ...ports, address: host(1) });
      await until("the first one is asked", () => prober.of(host(2)).length >= 10);
      prober.meet([1, 3].map(host));
      await until("the roster is another one", () => prober.rosters.length === 2);
      const asked = prober.of(host(2)).length;
      await until("the second one is asked", () => prober.of(host(3)).length >= 10);
      expect(prober.of(host(2))).toHaveLength(asked);
      expect(faultsOf(prober.probes)).toEqual([null]);
      expect((await server.metrics()).get("echo_sessions_active", { protocol: "tcp" })).toBeLessThanOrEqual(
        2,
      );
      prober.meet([host(1)]);
      await until("nobody is left", () => prober.rosters.length === 3);
      await until("nothing is open", () => descriptors() <= before + 3); // what the reactor itself has
      await until("the server has no session either", async () => {
        return (await server.metrics()).get("echo_sessions_active", { protocol: "tcp" }) === 0;
      });
    });

    test("fifty of them are asked at moments of their own, and the end is soon and leaves nothing open", async () => {
      const ports = freePorts();
      const members = Array.from({ length: 51 }, (_, at) => host(100 + at));
      await using _ = await membersAt(members.slice(1), ports);
      const before = descriptors();
      const question = { ...ports, address: members[0]!, degree: 50, intervalMs: 1000, timeoutMs: 1000 };
      const prober = startProber(sockets, members, question);
      const isAsked = (peer: string): boolean => PROBES.every((probe) => prober.of(peer, probe).length >= 3);
      await until("each was asked", () => members.slice(1).every(isAsked));
      expect(faultsOf(prober.probes)).toEqual([null]);
      // 150 probes an interval: in any twentieth of it there are some 7, and never most.
      const twentieths = new Array<number>(20).fill(0);
      for (const { atMs } of prober.probes) twentieths[Math.floor((atMs % 1000) / 50)]!++;
      expect(Math.max(...twentieths)).toBeLessThan(prober.probes.length / 5);
      await prober.end();
      const told = prober.probes.length;
      await until("all is closed", () => descriptors() <= before + 3);
      expect(prober.probes).toHaveLength(told);
    });
  });
}
