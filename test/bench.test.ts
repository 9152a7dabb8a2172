import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type { CellResult } from "../bench/run/types.ts";
import { SCENARIOS } from "../bench/scenarios.ts";
import { DELAY_MS, type Fault, type FaultyEcho, faultyTcp, faultyUdp } from "./bench-faulty-echo.ts";

const MAIN = fileURLToPath(new URL("../bench/main.ts", import.meta.url));
const LINUX = process.platform === "linux";

const folder = mkdtempSync(`${tmpdir()}/echo-bench-`);
afterAll(() => rmSync(folder, { recursive: true }));

interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function finish(child: ReturnType<typeof start>): Promise<Finished> {
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

const bench = (args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Finished> =>
  finish(start(args, env));

async function results(args: readonly string[]): Promise<CellResult[]> {
  const { exitCode, stdout, stderr } = await bench([...args, "--json"]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  return (JSON.parse(stdout) as { results: CellResult[] }).results;
}

const faultsOf = ({ errors, lost, duplicated, reordered, corrupted }: CellResult) => ({
  errors,
  lost,
  duplicated,
  reordered,
  corrupted,
});
const NO_FAULTS = { errors: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };

describe.if(LINUX)("a short run of each scenario is exact", () => {
  for (const name of Object.keys(SCENARIOS)) {
    test(name, async () => {
      const cells = await results(["--scenario", name, "--connections", "20", "--duration", "0.2"]);
      expect(cells.length).toBeGreaterThan(0);
      for (const result of cells) {
        expect(result.cell.scenario).toBe(name);
        expect(faultsOf(result)).toEqual(NO_FAULTS);
        expect(result.serverRssMb).toBeGreaterThan(1);
        if (result.cell.mode === "idle") continue;
        expect(result.messages).toBeGreaterThan(0);
        expect(result.serverCpuMicros).toBeGreaterThan(0);
        const { p50, p90, p99, p999, max } = result.roundTrip!;
        expect([p50, p90, p99, p999, max]).toEqual([p50, p90, p99, p999, max].toSorted((a, b) => a - b));
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
});

describe.if(LINUX)("each fault is in its own column, as often as it was made", () => {
  const columns: [Fault, keyof typeof NO_FAULTS][] = [
    ["corrupt", "corrupted"],
    ["drop", "lost"],
    ["duplicate", "duplicated"],
    ["reorder", "reordered"],
  ];
  const servers: [string, string, (fault: Fault) => FaultyEcho | Promise<FaultyEcho>][] = [
    ["TCP", "tcp-pipeline", faultyTcp],
    ["UDP", "udp-window", faultyUdp],
  ];
  for (const [protocol, scenario, serve] of servers) {
    const against = (port: number): Promise<CellResult[]> =>
      results([
        ...["--target", `127.0.0.1:${port}`, "--scenario", scenario],
        ...["--connections", "4", "--size", "64", "--duration", "0.5"],
      ]);
    for (const [fault, column] of columns) {
      test(`${protocol}: ${fault}`, async () => {
        using server = await serve(fault);
        const [result] = await against(server.port);
        expect(server.faults).toBeGreaterThan(0);
        expect(faultsOf(result!)).toEqual({ ...NO_FAULTS, [column]: server.faults });
      });
    }

    test(`${protocol}: late by far more messages than are looked at around`, async () => {
      using server = await serve("late");
      const [result] = await against(server.port);
      expect(server.faults).toBeGreaterThan(0);
      expect(faultsOf(result!)).toEqual({ ...NO_FAULTS, reordered: server.faults });
    });
  }

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
  }

  test("TCP: the last message of a session is lost too", async () => {
    using server = faultyTcp("drop");
    const [result] = await results([
      ...["--target", `127.0.0.1:${server.port}`, "--scenario", "tcp-ping"],
      ...["--connections", "4", "--duration", "0.3"],
    ]);
    expect(server.faults).toBeGreaterThan(0);
    expect(faultsOf(result!)).toEqual({ ...NO_FAULTS, lost: server.faults });
  });
});

describe.if(LINUX)("the open loop", () => {
  const STALL_MS = 200;
  /** After the warm-up, within the measured time. */
  const STALL_AT_MS = 1200;

  test("shows a stall of the server in p99, for every message that should have been sent meanwhile", async () => {
    using server = faultyTcp("none");
    let since = 0;
    let stalled = false;
    server.onMessage = () => {
      since ||= performance.now();
      if (stalled || performance.now() - since < STALL_AT_MS) return;
      stalled = true;
      Bun.sleepSync(STALL_MS);
    };
    const [result] = await results([
      ...["--target", `127.0.0.1:${server.port}`, "--scenario", "tcp-ping"],
      ...["--connections", "10", "--rate", "500", "--duration", "1.5"],
    ]);
    expect(stalled).toBe(true);
    expect(faultsOf(result!)).toEqual(NO_FAULTS);
    // A closed loop would have 10 late messages of many thousands; here 100 of 750 were due while it stood still.
    expect(result!.roundTrip!.p99).toBeGreaterThan(STALL_MS * 0.75 * 1000);
  });

  test("keeps its pace", async () => {
    const [result] = await results([
      ...["--scenario", "udp-ping", "--size", "64", "--rate", "400", "--duration", "1"],
    ]);
    expect(result!.messages).toBeGreaterThan(300);
    expect(result!.messages).toBeLessThan(500);
  });
});
