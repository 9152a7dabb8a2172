import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { DELAY_MS } from "../bench/dev/culprit.ts";
import { runCase, STALLS } from "../bench/dev/fault-cases.ts";
import { faultyTcp, faultyUdp } from "../bench/dev/faulty-echo.ts";
import { SCENARIOS } from "../bench/scenarios.ts";
import { bench, faultsOf, isExact, json, LINUX, NO_FAULTS, results } from "./bench-run.ts";
import { sendTo } from "./clients/send-to.ts";

describe.if(LINUX)("a short run of each scenario is exact", () => {
  for (const name of Object.keys(SCENARIOS)) {
    test(name, async () => {
      const cells = await results(["--scenario", name, "--connections", "20", "--duration", "0.6"]);
      expect(cells.length).toBeGreaterThan(0);
      for (const result of cells) {
        expect(result.cell.scenario).toBe(name);
        expect(faultsOf(result)).toEqual(NO_FAULTS);
        expect(isExact(result)).toBe(true);
        expect(result.serverRssMb).toBeGreaterThan(1);
        if (result.cell.mode === "idle") continue;
        expect(result.messages).toBeGreaterThan(0);
        expect(result.serverCpuMicros).toBeGreaterThan(0);
        expect(result.serverUserMicros! + result.serverSystemMicros!).toBeCloseTo(result.serverCpuMicros!, 6);
        expect(result.serverSystemMicros).toBeGreaterThan(0); // a system call for each at least
        const { p50, p90, p95, p99, p999, max } = result.roundTrip!;
        const ordered = [p50, p90, p95, p99, p999, max];
        expect(ordered).toEqual(ordered.toSorted((a, b) => a - b));
      }
    });
  }

  test("several load Workers, several loops of the server", async () => {
    const two = ["--workers", "2", "--server-workers", "2", "--connections", "21", "--duration", "0.2"];
    const cells = await results(["--scenario", "tcp-ping,udp-window", ...two]);
    expect(cells.map(({ sessions }) => sessions)).toEqual([21, 21, 21]);
    for (const result of cells) expect(faultsOf(result)).toEqual(NO_FAULTS);
  });

  test("the Bun engine, on request", async () => {
    const [result] = await results([
      ...["--scenario", "tcp-ping", "--connections", "5", "--duration", "0.2", "--engine", "bun"],
    ]);
    expect(faultsOf(result!)).toEqual(NO_FAULTS);
  });

  for (const size of [1, 2, 7, 8, 9, 65_507]) {
    test(`messages of ${size} B, and which columns mean nothing`, async () => {
      const args = ["--scenario", "tcp-pipeline,udp-window", "--connections", "3", "--duration", "0.2"];
      for (const result of await results([...args, "--size", String(size)])) {
        expect(faultsOf(result)).toEqual(NO_FAULTS);
        expect(result.notes.some((note) => note.includes("mean nothing"))).toBe(size < 8);
      }
    });
  }
});

describe.if(LINUX)("what is asked for", () => {
  test("--requests ends a cell after so many messages, however long that takes", async () => {
    const args = ["--scenario", "tcp-ping,udp-ping,tcp-churn", "-c", "3", "--size", "64"];
    for (const result of await results([...args, "--requests", "500", "--warmup", "0.1"])) {
      expect(result.messages).toBe(500);
      expect(faultsOf(result)).toEqual(NO_FAULTS);
    }
  });

  test("--requests does not keep sessions that say nothing for ever", async () => {
    const [result] = await results(["--scenario", "tcp-idle", "-c", "3", "--requests", "100"]);
    expect(result!.cell.mode).toBe("idle");
    expect(result!.seconds).toBeLessThan(60);
  });

  test("--source is where sessions come from, over TCP and UDP", async () => {
    const seen = new Set<string>();
    using tcp = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => void seen.add(`tcp ${socket.remoteAddress}`),
        data: (socket, bytes) => void socket.write(bytes),
      },
    });
    const udp = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(socket, bytes, port, address) {
          seen.add(`udp ${address}`);
          sendTo(socket, bytes, port, address);
        },
        error() {},
      },
    });
    const at = ["--tcp", `127.0.0.1:${tcp.port}`, "--udp", `127.0.0.1:${udp.port}`];
    const args = ["--scenario", "tcp-ping,udp-ping,tcp-churn", "-c", "2", "--size", "64", "-d", "200ms"];
    for (const result of await results([...at, ...args, "--source", "127.0.0.77"]))
      expect(faultsOf(result)).toEqual(NO_FAULTS);
    udp.close();
    expect([...seen].sort()).toEqual(["tcp 127.0.0.77", "udp 127.0.0.77"]);
  });

  test("a source that this machine does not have is named, with the reason", async () => {
    using server = faultyTcp("none");
    const args = [
      "--target",
      `127.0.0.1:${server.port}`,
      "--scenario",
      "tcp-ping",
      "--source",
      "203.0.113.9",
    ];
    const { exitCode, stderr } = await bench(args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`no connection to tcp 127.0.0.1:${server.port}: `);
    expect(stderr).toContain("EADDRNOTAVAIL");
  });

  test("a port where nobody listens is named, with the reason", async () => {
    const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = closed;
    closed.stop(true);
    const { exitCode, stderr } = await bench(["--tcp", `127.0.0.1:${port}`, "--scenario", "tcp-ping"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: `bench: no connection to tcp 127.0.0.1:${port}: connection refused (ECONNREFUSED)\n`,
    });
  });
});

describe.if(LINUX)("--fail-if", () => {
  test("a bound that is crossed fails an exact run, and is said", async () => {
    const args = [
      "--scenario",
      "tcp-ping",
      "-c",
      "3",
      "-d",
      "200ms",
      "--fail-if",
      "lost>0,p99>1us",
      "--json",
    ];
    const { exitCode, stdout } = await bench(args);
    const { failed } = JSON.parse(stdout) as { failed: string[] };
    expect(exitCode).toBe(1);
    expect(failed).toEqual([expect.stringMatching(/^tcp-ping \(64 B, 3 conns\): p99>1us: it is [\d.]+ ms$/)]);
  });

  test("bounds that hold change nothing", async () => {
    const args = ["--scenario", "tcp-ping,tcp-idle", "-c", "3", "-d", "200ms"];
    const { failed } = await json([...args, "--fail-if", "max>1m", "--fail-if", "errors>0,rate<=0"]);
    expect(failed).toEqual([]);
  });
});

describe.if(LINUX)("the closed loop", () => {
  for (const [scenario, serve] of [
    ["tcp-ping", faultyTcp],
    ["udp-ping", faultyUdp],
  ] as const) {
    test(`${scenario}: a delay is no fault, it is in the round trip`, async () => {
      using server = await serve("delay");
      const [result] = await results([
        ...["--target", `127.0.0.1:${server.port}`, "--scenario", scenario],
        ...["--connections", "50", "--size", "64", "--duration", "0.8"],
      ]);
      expect(server.faults).toBeGreaterThan(0);
      expect(faultsOf(result!)).toEqual(NO_FAULTS);
      expect(result!.roundTrip!.max).toBeGreaterThan(DELAY_MS * 0.95 * 1000);
    });

    test(`${scenario}: answers after the patience of the load are late, and right`, async () => {
      using server = await serve("slow");
      const [result] = await results([
        ...["--target", `127.0.0.1:${server.port}`, "--scenario", scenario],
        ...["--connections", "10", "--size", "64", "--duration", "3"],
      ]);
      expect(faultsOf(result!)).toEqual(NO_FAULTS);
      expect(result!.late).toBeGreaterThanOrEqual(10);
      expect(result!.roundTrip!.p50).toBeGreaterThan(2_400_000);
    });
  }

  test("TCP: the last message of a session is lost too", async () => {
    using server = faultyTcp("drop");
    const [result] = await results([
      ...["--target", `127.0.0.1:${server.port}`, "--scenario", "tcp-ping"],
      ...["--connections", "4", "--duration", "0.3"],
    ]);
    expect(server.faults).toBeGreaterThan(0);
    expect(faultsOf(result!)).toEqual({ ...NO_FAULTS, lost: server.faults });
    expect(result!.exact).toBe(false);
  });
});

/** How long this thread, on which the faulty servers run, could have run and had no core. */
const waitedSeconds = (): number =>
  Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[1]) / 1e9;

describe.if(LINUX)("the open loop", () => {
  /** A share of what theory says, which the histogram's steps and the timers' steps may cost. */
  const NEAR = 0.05;

  for (const stall of STALLS) {
    test(`${stall.protocol}: ${stall.fault}: it is in the percentiles as theory says`, async () => {
      const waitedBefore = waitedSeconds();
      const { result } = await runCase(stall);
      // What a busy machine adds to the stall is no fault of the measurement.
      const quiet = result.limits.length === 0 && waitedSeconds() - waitedBefore < 0.1;
      expect(faultsOf(result)).toEqual(NO_FAULTS);
      const { p90, p95, p99, max } = result.roundTrip!;
      for (const [seen, theory] of [
        [p90, 600_000],
        [p95, 800_000],
        [p99, 960_000],
        [max, 1_000_000],
      ] as const) {
        expect(seen).toBeGreaterThan(theory * (1 - NEAR));
        if (quiet) expect(seen).toBeLessThan(theory * (1 + NEAR));
      }
    });
  }

  test("keeps its pace", async () => {
    const [result] = await results([
      ...["--scenario", "udp-ping", "--size", "64", "--rate", "400", "--duration", "1"],
    ]);
    expect(result!.messages + result!.notSent).toBeGreaterThan(300);
    expect(result!.messages).toBeLessThan(500);
    expect(result!.sentLate!.p50).toBeGreaterThan(0);
  });

  for (const rate of ["1M", "10M"]) {
    test(`a rate of ${rate}, beyond the load's own, is not measured, and no fault of the server`, async () => {
      const { exact, results: cells } = await json([
        ...["--scenario", "tcp-ping", "-c", "50", "--rate", rate, "--duration", "2s"],
      ]);
      expect(exact).toBe(null);
      const [result] = cells;
      expect(faultsOf(result!)).toEqual(NO_FAULTS);
      expect(result!.limits[0]).toStartWith("the load was the limit, not the server: ");
      expect(result!.notSent).toBeGreaterThan(0);
      expect(result!.sentLate!.p99).toBeGreaterThan(5000);
    });
  }
});
