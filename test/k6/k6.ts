import { beforeAll, describe, expect, test } from "bun:test";
import { startServer } from "../harness.ts";
import { type Fault, startFaultyEcho } from "./faulty-echo.ts";
import {
  crossed,
  faults,
  findK6,
  type K6Result,
  runK6,
  SCRIPT_EXCEPTION,
  SCRIPTS,
  type Script,
  THRESHOLDS_CROSSED,
  value,
} from "./run.ts";

/** The k6 scripts: they pass against this server, and see each thing that an echo can do wrong. */

let k6: string;

beforeAll(async () => {
  k6 = await findK6();
}, 900_000);

/**
 * Settings under which a script sends some tens of messages and is over in about a second. Where sessions come at their
 * times there is a VU for each, so that none is dropped, however busy this machine is.
 */
const SHORT: Readonly<Record<Script, Readonly<Record<string, string | number>>>> = {
  "tcp.js": { DURATION: "1s", VUS: 10, MESSAGES: 20, RATE: 10, SCENARIO: "both" },
  "tcp-soak.js": { DURATION: "1s", VUS: 4, RATE: 80 },
  "tcp-churn.js": { DURATION: "1s", VUS: 40, RATE: 40, SIZE: 1_024 },
};

const run = (
  script: Script,
  port: number,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<K6Result> => runK6(k6, script, { ...SHORT[script], TARGET: `127.0.0.1:${port}`, ...settings });

/** What a failed assertion should show. */
const outcome = (result: K6Result) => ({
  exitCode: result.exitCode,
  crossed: crossed(result),
  faults: faults(result),
});

const PASSED = { exitCode: 0, crossed: [], faults: {} };

describe.each([...SCRIPTS])("%s", (script) => {
  test("holds its thresholds against this server, and both count the same", async () => {
    await using server = await startServer(["--udp-port", "off"]);
    const result = await run(script, server.tcpPort);
    expect(outcome(result)).toEqual(PASSED);
    const { report } = result;
    expect(report).toMatchObject({
      script,
      passed: true,
      settings: { TARGET: `127.0.0.1:${server.tcpPort}` },
    });

    const sessions = value(result, "echo_sessions", "count");
    const messages = value(result, "echo_messages", "count");
    expect(messages).toBeGreaterThanOrEqual(sessions);
    expect(value(result, "iterations", "count")).toBe(sessions);
    expect(value(result, "echo_bytes", "count")).toBe(messages * 1_024);
    expect(value(result, "echo_mismatch", "fails")).toBe(messages);
    expect(value(result, "echo_client_mismatch", "fails")).toBe(sessions);
    const metrics = await server.metrics();
    expect(metrics.get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(sessions);
    expect(metrics.get("echo_received_bytes_total", { protocol: "tcp" })).toBe(messages * 1_024);

    expect(result.stdout).toContain(`${script}: passed in `);
    expect(result.stdout).toMatch(new RegExp(`^ +messages +${messages.toLocaleString("en-US")} `, "m"));
    expect(result.stdout).toMatch(/^ +ok +echo_messages count>0$/m);
  });

  test("fails its thresholds against an echo that corrupts one byte in 10,000", async () => {
    using echo = startFaultyEcho("corrupt");
    const result = await run(script, echo.port);
    expect(outcome(result)).toEqual({
      exitCode: THRESHOLDS_CROSSED,
      crossed: ["echo_mismatch rate==0"],
      faults: {},
    });
    const wrong = value(result, "echo_mismatch", "passes");
    expect(wrong).toBe(Math.floor(value(result, "echo_bytes", "count") / 10_000));
    expect(result.stdout).toContain(`${script}: FAILED in `);
    expect(result.stdout).toContain("FAIL echo_mismatch rate==0");
  });

  test("fails when every connect is refused", async () => {
    const echo = startFaultyEcho();
    const { port } = echo;
    echo[Symbol.dispose]();
    const result = await run(script, port);
    expect(outcome(result)).toEqual({
      exitCode: THRESHOLDS_CROSSED,
      crossed: ["echo_messages count>0", "echo_session_failed rate==0"],
      faults: { connect: value(result, "iterations", "count") },
    });
    expect(result.stderr.split("\n").filter((line) => line.includes("connect"))).toHaveLength(1);
    expect(result.stdout).toMatch(/^ +messages without an exact echo +-$/m);
    expect(result.stdout).toMatch(/^ +round trip( +-){4}$/m);
  });

  test("fails when it has sent nothing", async () => {
    // Of a single VU nothing falls to the second of two instances: no error, no sample, no traffic.
    const half = ["--execution-segment", "1/2:1", "--execution-segment-sequence", "0,1/2,1"];
    const settings = { TARGET: "127.0.0.1:1", DURATION: "1s", VUS: 1, RATE: 1, SCENARIO: "ramp" };
    const result = await runK6(k6, script, settings, half);
    expect(outcome(result)).toEqual({
      exitCode: THRESHOLDS_CROSSED,
      crossed: ["echo_messages count>0"],
      faults: {},
    });
  });

  const refused: [Record<string, string | number>, string][] = [
    [{ TARGET: "localhost" }, "TARGET=localhost: must be host:port"],
    [{ TARGET: "localhost:1234,[::1]:70000" }, "TARGET=localhost:1234,[::1]:70000: must be host:port"],
    [{ SIZE: "1KiB" }, "SIZE=1KiB: must be a whole number from 1 to 16777216"],
    [{ SIZE: 0 }, "SIZE=0: must be a whole number"],
    [{ VUS: -1 }, "VUS=-1: must be a whole number from 1 to 10000"],
    [{ RATE: "1e9" }, "RATE=1e9: must be a whole number from 1 to 10000"],
    [{ DURATION: "10" }, "DURATION=10: must be a time from 1000ms to 48h"],
    [{ DURATION: "999ms" }, "DURATION=999ms: must be a time"],
    [{ TIMEOUT: "49h" }, "TIMEOUT=49h: must be a time from 100ms to 48h"],
    [{ BANNER: "maybe" }, "BANNER=maybe: must be on or off"],
    [{ NAT: "true" }, "NAT=true: must be no or yes"],
  ];
  test.each(refused)("refuses %j in one line", async (settings, line) => {
    const result = await run(script, 1, settings);
    expect(result.exitCode).toBe(SCRIPT_EXCEPTION);
    expect(result.stderr.trim()).toStartWith(line);
    expect(result.stderr.trim().split("\n")).toHaveLength(1);
  });
});

test.each(["tcp.js", "tcp-churn.js"] as const)("%s fails when it could not make its load", async (script) => {
  using echo = startFaultyEcho("late");
  const result = await run(script, echo.port, { SCENARIO: "rate", VUS: 1, RATE: 20, MESSAGES: 1 });
  expect(outcome(result)).toEqual({
    exitCode: THRESHOLDS_CROSSED,
    crossed: ["dropped_iterations count==0"],
    faults: {},
  });
  expect(value(result, "dropped_iterations", "count")).toBeGreaterThan(0);
  expect(result.stdout).toContain("FAIL dropped_iterations count==0");
});

describe("a session", () => {
  const soak: Record<string, string | number> = { VUS: 1, RATE: 20, TIMEOUT: "300ms" };
  const failures: [Fault, readonly string[], string | null][] = [
    ["drop", ["echo_mismatch rate==0", "echo_session_failed rate==0"], "timeout"],
    ["duplicate", ["echo_mismatch rate==0", "echo_session_failed rate==0"], "unasked"],
    ["stale", ["echo_mismatch rate==0"], null],
    ["close", ["echo_mismatch rate==0", "echo_session_failed rate==0"], "closed"],
    ["reset", ["echo_mismatch rate==0", "echo_session_failed rate==0"], "error"],
    ["wrong-client", ["echo_client_mismatch rate==0"], null],
    ["wrong-date", ["echo_messages count>0", "echo_session_failed rate==0"], "banner"],
    ["talkative", ["echo_messages count>0", "echo_session_failed rate==0"], "banner"],
    ["silent", ["echo_messages count>0", "echo_session_failed rate==0"], "timeout"],
  ];
  test.each(failures)("with an echo that is %s fails by its own name", async (fault, thresholds, reason) => {
    using echo = startFaultyEcho(fault);
    const result = await run("tcp-soak.js", echo.port, soak);
    expect(result.exitCode).toBe(THRESHOLDS_CROSSED);
    expect(crossed(result)).toEqual(thresholds);
    expect(Object.keys(faults(result))).toEqual(reason === null ? [] : [reason]);
  });

  test("is given its timeout from when an answer is due, not from the last byte", async () => {
    using echo = startFaultyEcho("late");
    // Of the 1.5 s between two messages 0.8 s are silent, and most of the second that is allowed has passed by then.
    const result = await run("tcp-soak.js", echo.port, { VUS: 3, RATE: 2, DURATION: "4s", TIMEOUT: "1s" });
    expect(outcome(result)).toEqual(PASSED);
    expect(value(result, "echo_round_trip", "max")).toBeGreaterThanOrEqual(700);
  });

  test("through a translation passes if that is expected", async () => {
    using echo = startFaultyEcho("wrong-client");
    const result = await run("tcp.js", echo.port, { NAT: "yes" });
    expect(outcome(result)).toEqual(PASSED);
    expect(value(result, "echo_client_mismatch", "rate")).toBe(1);
  });

  test("without a banner", async () => {
    await using server = await startServer(["--udp-port", "off", "--no-banner"]);
    expect(outcome(await run("tcp.js", server.tcpPort, { BANNER: "off" }))).toEqual(PASSED);
    const expected = await run("tcp-churn.js", server.tcpPort, { TIMEOUT: "200ms" });
    expect(expected.exitCode).toBe(THRESHOLDS_CROSSED);
    expect(Object.keys(faults(expected))).toEqual(["timeout"]);
  });

  test.each([1, 2, 4_096, 4_097, 1_048_576])("with messages of %d bytes is exact", async (size) => {
    await using server = await startServer(["--udp-port", "off"]);
    const result = await run("tcp.js", server.tcpPort, { SIZE: size, SCENARIO: "ramp", VUS: 2, MESSAGES: 3 });
    expect(outcome(result)).toEqual(PASSED);
    expect(value(result, "echo_bytes", "count")).toBe(value(result, "echo_messages", "count") * size);
  });

  test("finds its target among several, by IPv4 and IPv6", async () => {
    await using one = await startServer(["--udp-port", "off"]);
    await using other = await startServer(["--udp-port", "off"]);
    const result = await run("tcp-soak.js", 0, { TARGET: `127.0.0.1:${one.tcpPort},[::1]:${other.tcpPort}` });
    expect(outcome(result)).toEqual(PASSED);
    for (const server of [one, other]) {
      expect((await server.metrics()).get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(2);
    }
  });
});
