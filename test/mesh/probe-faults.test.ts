import { describe, expect, spyOn, test } from "bun:test";
import { PROBES, type ProbeName } from "../../src/diagnose/mesh/seen.ts";
import { Stalls } from "../../src/diagnose/stalls.ts";
import { until } from "../harness.ts";
import { SLOW_MS, startTcp } from "../net/servers/tcp.ts";
import { ENGINES, faultsOf, freePorts, membersAt, portsOf, startProber } from "./probe-fixtures.ts";
import { muteAt, relayTo } from "./probe-servers.ts";

/** Peers that are gone, that are others, and that come back. */

function host(at: number): string {
  return `127.0.42.${at}`;
}

const [OWN, A, B] = [host(1), host(2), host(3)];

for (const [engine, sockets] of ENGINES) {
  describe(`by ${engine}`, () => {
    test("a peer that stands still is silent, nobody else is, and it is well when it goes on", async () => {
      const ports = freePorts();
      await using well = await membersAt([A], ports);
      await using stopped = await membersAt([B], ports);
      await using prober = startProber(sockets, [OWN, A, B], { ...ports, address: OWN });
      const isWell = (peer: string, sinceMs: number): boolean =>
        PROBES.every((probe) => prober.of(peer, probe, sinceMs).some(({ fault }) => fault === null));
      await until("both are well", () => isWell(A, 0) && isWell(B, 0));
      const heldBefore = portsOf(prober.of(B, "tcp-held"));
      stopped.kill("SIGSTOP");
      const stoppedMs = Date.now();
      const faults = (probe: ProbeName) =>
        faultsOf(prober.of(B, probe, stoppedMs)).filter((each) => each !== null);
      const isSilent = (probe: ProbeName): boolean =>
        prober
          .of(B, probe)
          .slice(-3)
          .every(({ fault }) => fault !== null);
      await until("it is silent", () => PROBES.every(isSilent));
      // Its kernel accepts: a connect proves nothing.
      expect(faults("tcp-new")).toEqual(["silent"]);
      expect(faults("tcp-held")).toEqual(["silent"]);
      expect(faults("udp")).toEqual(["timeout"]);
      const lost = prober.of(B, "udp", stoppedMs).filter(({ fault }) => fault !== null);
      expect(lost.every((seen) => seen.sent === 1 && seen.lost === 1 && seen.rttMs === null)).toBe(true);
      stopped.kill("SIGCONT");
      const goesOnMs = Date.now();
      await until("it is well", () => isWell(B, goesOnMs));
      // What was under way on the session before may still be answered in time; it is given up all the same.
      await until("it is held by another session", () =>
        portsOf(prober.of(B, "tcp-held", goesOnMs).filter(({ fault }) => fault === null)).some(
          (port) => !heldBefore.includes(port),
        ),
      );
      expect(faultsOf(prober.of(A))).toEqual([null]);
      expect(well.log.length).toBeGreaterThan(0);
    });

    test("one that drains is not held up by the session that is held", async () => {
      const ports = freePorts();
      await using leaving = await membersAt([A], ports, ["--drain-timeout", "50s"]);
      await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN });
      await until("it is well", () => PROBES.every((probe) => prober.of(A, probe).length >= 2));
      leaving.kill("SIGTERM");
      expect(await leaving.exited).toBe(0);
      expect(await leaving.waitForLog("drained")).toMatchObject({ cut: 0, cutShort: 0 });
      await until("it is refused", () => prober.of(A, "tcp-held").at(-1)?.fault === "refused");
      expect(faultsOf(prober.of(A, "tcp-held"))).toEqual([null, "refused"]);
    });

    test("where nobody listens it is refused, with the ends where they are known", async () => {
      const ports = freePorts();
      await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN });
      await until("each was refused twice", () => PROBES.every((probe) => prober.of(A, probe).length >= 2));
      expect(faultsOf(prober.probes)).toEqual(["refused"]);
      const [udp] = prober.of(A, "udp");
      expect(udp).toMatchObject({ sent: 1, lost: 1, server: null });
      expect(udp?.flow).toMatch(new RegExp(`^udp 127.0.0.1:\\d+ > ${A}:${ports.udpPort}$`));
      // Bun's sockets do not tell the port of a connect that fails; it left this machine all the same.
      const own = sockets.bySystemCalls ? "127.0.0.1:\\d+" : "127.0.0.1";
      for (const probe of ["tcp-new", "tcp-held"] as const)
        expect(prober.of(A, probe)[0]?.flow).toMatch(new RegExp(`^tcp ${own} > ${A}:${ports.tcpPort}$`));
    });

    test("one that another answers for is not the peer, and who answers is said", async () => {
      const ports = freePorts();
      await using _ = await membersAt([A], ports);
      using _relay = await relayTo(A, B, ports);
      await using prober = startProber(sockets, [OWN, A, B], { ...ports, address: OWN });
      const isAsked = (peer: string): boolean => PROBES.every((probe) => prober.of(peer, probe).length >= 4);
      await until("both were asked", () => isAsked(A) && isAsked(B));
      expect(faultsOf(prober.of(A))).toEqual([null]);
      expect(faultsOf(prober.of(B))).toEqual(["other_server"]);
      for (const { probe, server, lost, rttMs } of prober.of(B)) {
        const port = probe === "udp" ? ports.udpPort : ports.tcpPort;
        expect({ server, lost, rttMs }).toEqual({ server: `${A}:${port}`, lost: 0, rttMs: null });
      }
    });

    test("one that says not who it is does not count, unless nobody asks", async () => {
      const ports = freePorts();
      await using _ = await membersAt([A], ports, ["--no-banner"]);
      for (const [banner, fault] of [
        [true, "no_banner"],
        [false, null],
      ] as const) {
        await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN, banner });
        await until("it was asked", () => PROBES.every((probe) => prober.of(A, probe).length >= 4));
        expect(faultsOf(prober.probes)).toEqual([fault]);
        expect(prober.probes.every(({ lost, server }) => lost === 0 && server === null)).toBe(true);
      }
    });

    test("a UDP flow that is told nothing counts on the word of the others, and goes on from a new port", async () => {
      const ports = freePorts();
      await using _ = await membersAt([A], ports, ["--udp-banner-rate", "0"]);
      await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN });
      await until("it was asked", () => prober.of(A, "udp").length >= 10);
      const later = prober.of(A, "udp").slice(2); // the first one may come before any word of the others
      expect(faultsOf(later)).toEqual([null]);
      expect(portsOf(later)).toHaveLength(later.length);
      const alone = { ...ports, tcpPort: null, address: OWN };
      await using udpAlone = startProber(sockets, [OWN, A], alone);
      await until("without them it was asked", () => udpAlone.of(A, "udp").length >= 3);
      expect(faultsOf(udpAlone.probes)).toEqual(["no_banner"]);
    });

    test("a server that is restarted is well again, and its held flows are others", async () => {
      const ports = freePorts();
      const first = await membersAt([A], ports);
      await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN });
      await until("it is well", () => PROBES.every((probe) => prober.of(A, probe).length >= 3));
      const held = portsOf(prober.of(A, "tcp-held"));
      await first.stop("SIGKILL");
      await until("it is gone", () =>
        PROBES.every((probe) => !faultsOf(prober.of(A, probe).slice(-1)).includes(null)),
      );
      await using _ = await membersAt([A], ports);
      const backMs = Date.now();
      await until("it is well again", () =>
        PROBES.every((probe) => {
          const last = prober.of(A, probe, backMs).slice(-3);
          return last.length === 3 && last.every(({ fault }) => fault === null);
        }),
      );
      expect(portsOf(prober.of(A, "tcp-held").slice(-3))).not.toEqual(held);
      expect(
        faultsOf(prober.probes).filter((fault) => !["refused", "reset", "closed", null].includes(fault)),
      ).toEqual([]);
    });

    test("a UDP flow has one datagram under way until its first loss, and after two there is another flow", async () => {
      const ports = { ...freePorts(), tcpPort: null };
      using mute = await muteAt(A, ports.udpPort);
      await using prober = startProber(sockets, [OWN, A], { ...ports, address: OWN });
      await until("three flows were tried", () => portsOf(prober.of(A, "udp")).length >= 3);
      expect(faultsOf(prober.probes)).toEqual(["timeout"]);
      const [first, second] = portsOf(prober.of(A, "udp"));
      const arrivals = (port: string | undefined): number[] =>
        mute.arrivals.filter(({ fromPort }) => fromPort === Number(port)).map(({ atMs }) => atMs);
      for (const port of [first, second]) {
        const [one, two] = arrivals(port);
        expect(two! - one!).toBeGreaterThan(400); // --timeout is 500 ms, and the interval 100 ms
        expect(
          prober.of(A, "udp").filter(({ flow }) => flow?.includes(`:${port} `)).length,
        ).toBeGreaterThanOrEqual(2);
      }
    });

    test("a flow that is stuck is seen as lost twice, and then the peer is asked by another one", async () => {
      const ports = { ...freePorts(), tcpPort: null };
      await using _ = await membersAt([A], { ...ports, tcpPort: freePorts().tcpPort });
      using relay = await relayTo(A, B, { ...ports, tcpPort: freePorts().tcpPort });
      await using prober = startProber(sockets, [OWN, B], { ...ports, address: OWN, banner: false });
      await until("it is well", () => prober.of(B).length >= 3);
      const [before] = portsOf(prober.probes);
      relay.stick();
      await until("it was asked by another flow", () => portsOf(prober.probes).length === 2);
      const [, after] = portsOf(prober.probes);
      await until("that one is answered", () => prober.of(B).at(-1)?.fault === null);
      const lost = prober.probes.filter(({ fault }) => fault === "timeout");
      expect(portsOf(lost)).toEqual([before!]);
      expect(lost.length).toBeGreaterThanOrEqual(2);
      expect(portsOf(prober.of(B).slice(-1))).toEqual([after!]);
    });

    test("an echo that comes after its deadline is late, however soon after it, and leaves the session", async () => {
      const ports = freePorts();
      using _slow = startTcp("slow", undefined, A, ports.tcpPort);
      // On a busy machine it is more than the 10 ms that this process sleeps, and does not count.
      using _awake = spyOn(Stalls.prototype, "ran").mockImplementation(() => {});
      const question = { ...ports, udpPort: null, banner: false, address: OWN, intervalMs: 400 };
      await using prober = startProber(sockets, [OWN, A], { ...question, timeoutMs: SLOW_MS - 10 });
      const probes = ["tcp-new", "tcp-held"] as const;
      await until("it was asked", () => probes.every((probe) => prober.of(A, probe).length >= 6));
      expect(faultsOf(prober.probes)).toEqual(["silent"]);
      expect(prober.probes.every(({ rttMs, lost }) => rttMs === null && lost === 1)).toBe(true);
      expect(portsOf(prober.of(A, "tcp-held"))).toHaveLength(1);
    });

    test("a session that accepts and says nothing is silent, and one that is cut is told as that", async () => {
      const ports = freePorts();
      using _silent = startTcp("silent", undefined, A, ports.tcpPort);
      using _cuts = startTcp("resets", 64, B, ports.tcpPort);
      const question = { ...ports, udpPort: null, banner: false, address: OWN };
      await using prober = startProber(sockets, [OWN, A, B], question);
      await until("both were asked", () => [A, B].every((peer) => prober.of(peer, "tcp-held").length >= 6));
      expect(faultsOf(prober.of(A))).toEqual(["silent"]);
      expect(faultsOf(prober.of(B, "tcp-new"))).toEqual([null]);
      expect(faultsOf(prober.of(B, "tcp-held")).sort()).toEqual([null, "reset"]);
    });
  });
}
