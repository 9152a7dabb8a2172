import { describe, expect, test } from "bun:test";
import type { ProbeSeen } from "../../src/diagnose/mesh/seen.ts";
import { until } from "../harness.ts";
import { startTcp } from "../net/servers/tcp.ts";
import { type FaultName, startUdp } from "../net/servers/udp.ts";
import { ENGINES, faultsOf, freePorts, startProber } from "./probe-fixtures.ts";

/** What comes and is no right echo, and what the counts say of it. */

const [OWN, PEER] = ["127.0.43.1", "127.0.43.2"];

type Count = "sent" | "lost" | "duplicated" | "reordered" | "corrupted";

function sumOf(probes: readonly ProbeSeen[], count: Count): number {
  return probes.reduce((sum, seen) => sum + seen[count], 0);
}

for (const [engine, sockets] of ENGINES) {
  describe(`of UDP by ${engine}`, () => {
    /** What a prober tells of a peer with that fault, after so many probes. */
    async function probesOf(fault: FaultName, count: number, timeoutMs = 300): Promise<readonly ProbeSeen[]> {
      const { udpPort } = freePorts();
      using _ = await startUdp(fault, PEER, udpPort);
      const question = { tcpPort: null, udpPort, banner: false, address: OWN, intervalMs: 50, timeoutMs };
      await using prober = startProber(sockets, [OWN, PEER], question);
      await until(`${count} are told`, () => prober.probes.length >= count);
      return prober.probes;
    }

    test("a datagram that comes twice is counted, and is well", async () => {
      const probes = await probesOf("doubles", 20);
      expect(faultsOf(probes)).toEqual([null]);
      // Each third of five: what is told last may not have its double yet.
      expect(sumOf(probes, "duplicated")).toBeGreaterThanOrEqual(3);
      expect(sumOf(probes, "duplicated")).toBeLessThanOrEqual(probes.length / 5 + 1);
      expect(sumOf(probes, "lost") + sumOf(probes, "corrupted")).toBe(0);
    });

    test("one that is overtaken is counted, and is well", async () => {
      const probes = await probesOf("reorders", 20, 2000);
      expect(faultsOf(probes)).toEqual([null]);
      expect(sumOf(probes, "reordered")).toBeGreaterThanOrEqual(3);
    });

    test("one with wrong bytes is corrupted, and not lost", async () => {
      const probes = await probesOf("corrupts", 20);
      expect(faultsOf(probes).sort()).toEqual(["corrupted", null]);
      expect(sumOf(probes, "corrupted")).toBe(probes.filter(({ fault }) => fault === "corrupted").length);
      expect(sumOf(probes, "lost")).toBe(0);
    });

    test("something else in its place is so too, though it does not say in whose", async () => {
      const probes = await probesOf("foreign", 6);
      expect(faultsOf(probes)).toEqual(["corrupted"]);
      expect(sumOf(probes, "corrupted")).toBeGreaterThanOrEqual(probes.length);
      expect(sumOf(probes, "lost")).toBe(0);
    });

    test("one that is dropped now and then is lost, and the flow goes on", async () => {
      const probes = await probesOf("drops", 20);
      expect(faultsOf(probes).sort()).toEqual([null, "timeout"]);
      expect(sumOf(probes, "lost")).toBe(probes.filter(({ fault }) => fault === "timeout").length);
      expect(new Set(probes.map(({ flow }) => flow)).size).toBe(1);
    });

    test("one from another end than was asked is another's, which is named", async () => {
      const { udpPort } = freePorts();
      using server = await startUdp("elsewhere", PEER, udpPort);
      const question = { tcpPort: null, udpPort, banner: false, address: OWN };
      await using prober = startProber(sockets, [OWN, PEER], question);
      await until("it was asked", () => prober.probes.length >= 3);
      expect(faultsOf(prober.probes)).toEqual(["other_server"]);
      expect(prober.probes[0]?.server).toBe(`${PEER}:${server.otherPort}`);
    });
  });

  test(`of TCP by ${engine}: wrong bytes are corrupted, in a new session and in a held one`, async () => {
    const { tcpPort } = freePorts();
    using _ = startTcp("corrupts", 96, PEER, tcpPort); // of a session, the second message
    const question = { tcpPort, udpPort: null, banner: false, address: OWN };
    await using prober = startProber(sockets, [OWN, PEER], question);
    await until("it was asked", () => prober.of(PEER, "tcp-held").length >= 6);
    expect(faultsOf(prober.of(PEER, "tcp-new"))).toEqual([null]);
    const held = prober.of(PEER, "tcp-held");
    expect(faultsOf(held).sort()).toEqual(["corrupted", null]);
    expect(sumOf(held, "corrupted")).toBe(held.filter(({ fault }) => fault === "corrupted").length);
    expect(sumOf(held, "lost")).toBe(0);
  });

  test(`of TCP by ${engine}: bytes that nobody asked for are so too`, async () => {
    const { tcpPort } = freePorts();
    using _ = startTcp("doubles", undefined, PEER, tcpPort);
    const question = { tcpPort, udpPort: null, banner: false, address: OWN };
    await using prober = startProber(sockets, [OWN, PEER], question);
    await until("it was asked", () => prober.of(PEER, "tcp-new").length >= 3);
    expect(faultsOf(prober.of(PEER, "tcp-new"))).toEqual(["corrupted"]);
    await until("it is known of the held one", () =>
      faultsOf(prober.of(PEER, "tcp-held")).includes("corrupted"),
    );
  });
}
