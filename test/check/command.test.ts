import { describe, expect, test } from "bun:test";
import { parseCommandLine } from "../../src/cli.ts";
import { CHECK_OPTIONS, type CheckTask } from "../../src/commands/check.ts";
import { UsageError } from "../../src/errors.ts";
import { formatAddress } from "../../src/net/address.ts";
import { run } from "../harness.ts";

function taskOf(args: string[], env: Record<string, string> = {}): CheckTask {
  const { command, ...rest } = parseCommandLine(["check", ...args], env, "1");
  expect(command?.name).toBe("check");
  return (rest as { task: CheckTask }).task;
}

function complaint(args: string[], env: Record<string, string> = {}): string {
  try {
    taskOf(args, env);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error(`${args.join(" ")} is allowed`);
}

describe("what is asked for", () => {
  test("by default", () => {
    expect(taskOf(["server1.headless"])).toMatchObject({
      targets: [
        { text: "server1.headless", host: "server1.headless", protocols: ["tcp", "udp"], port: null },
      ],
      family: null,
      addressesMax: 16,
      settings: {
        flows: 10,
        count: 20,
        size: 64,
        intervalMs: 10,
        timeoutMs: 2000,
        bulkBytes: 1_048_576,
        mtu: false,
        source: {},
      },
      waitMs: 0,
      engine: "auto",
      json: false,
    });
  });

  test("by flags, in the short forms of ping, and by variables", () => {
    const { settings } = taskOf([
      "-c",
      "5",
      "-s",
      "1KiB",
      "-i",
      "0.2",
      "-W",
      "1",
      "--bulk",
      "off",
      "--flows",
      "3",
      "a",
    ]);
    expect(settings).toMatchObject({
      count: 5,
      size: 1024,
      intervalMs: 200,
      timeoutMs: 1000,
      bulkBytes: 0,
      flows: 3,
    });
    const env = {
      ECHO_CHECK_COUNT: "7",
      ECHO_CHECK_BULK: "0",
      ECHO_CHECK_JSON: "true",
      ECHO_CHECK_WAIT: "60s",
    };
    expect(taskOf(["a", "-c", "8"], env)).toMatchObject({
      settings: { count: 8, bulkBytes: 0 },
      json: true,
      waitMs: 60_000,
    });
    expect(taskOf(["a", "--mtu", "--engine", "bun"])).toMatchObject({
      settings: { mtu: true },
      engine: "bun",
    });
  });

  test("the server's variables, which a Pod has, mean nothing to it", () => {
    const env = {
      ECHO_TCP_PORT: "many",
      ECHO_HOST: "0.0.0.0",
      ECHO_SIZE: "1",
      ECHO_CHECK_PORT: "tcp://10.0.0.1:1",
      ECHO_CHECK_SERVICE_HOST: "10.0.0.1",
    };
    expect(taskOf(["a"], env)).toEqual(taskOf(["a"]));
  });

  test("an IP version: by -4, by -6, by the source's", () => {
    expect(taskOf(["a", "-4"]).family).toBe(4);
    expect(taskOf(["a", "-6"]).family).toBe(6);
    const { family, settings } = taskOf(["a", "--source", "fd00::9", "-6"]);
    expect([family, formatAddress(settings.source.address!)]).toEqual([6, "fd00::9"]);
    expect(taskOf(["a", "--source", "10.0.0.9"]).family).toBe(4);
  });

  test("a source port makes one flow", () => {
    expect(taskOf(["a", "--source-port", "40112"]).settings).toMatchObject({
      flows: 1,
      source: { port: 40_112 },
    });
    expect(taskOf(["a", "--source-port", "40112", "--flows", "1"]).settings.flows).toBe(1);
  });
});

describe("what cannot be is said in one line", () => {
  const wrong: [string[], string][] = [
    [[], "missing required argument 'target'"],
    [["10.0.0.1:x"], 'target "10.0.0.1:x" is not allowed'],
    [["a", "--flows", "0"], "--flows 0 is not allowed; allowed: a whole number from 1 to 1000"],
    [["a", "-c", "many"], "--count many is not allowed"],
    [
      ["a", "-s", "19"],
      "--size 19 is not allowed; allowed: a size such as 65536, 64KiB or 1MiB, from 20 to 65507 bytes",
    ],
    [["a", "-s", "65508"], "--size 65508 is not allowed"],
    [["a", "-i", "0"], "--interval 0 is not allowed"],
    [["a", "-W", "5ms"], "--timeout 5ms is not allowed"],
    [["a", "--bulk", "1GiB"], "--bulk 1GiB is not allowed"],
    [["a", "--source", "eth0"], "--source eth0 is not allowed; allowed: an IP address of this machine"],
    [["a", "--source-port", "0"], "--source-port 0 is not allowed; allowed: a port from 1 to 65535"],
    [
      ["a", "--source-port", "9", "--flows", "2"],
      "--source-port 9 with --flows 2 is not allowed; allowed: one flow",
    ],
    [["a", "--source-port", "9", "--mtu"], "--source-port 9 with --mtu is not allowed"],
    [["a", "-4", "-6"], "-4 and -6 together are not allowed"],
    [["a", "-4", "--source", "fd00::1"], "--source fd00::1 with -4 is not allowed; allowed: an IPv4 address"],
    [["10.0.0.1", "-6"], 'target "10.0.0.1" is not allowed: it is IPv4'],
    [["[fd00::1]", "--source", "10.0.0.1"], 'target "[fd00::1]" is not allowed: it is IPv6'],
    [["a", "--max-addresses", "0"], "--max-addresses 0 is not allowed"],
    [["a", "--wait", "soon"], "--wait soon is not allowed"],
    [["a", "--engine", "fast"], "--engine fast is not allowed; allowed: auto, bun, linux"],
    [["a", "--frobnicate"], "unknown option '--frobnicate'; allowed: see echo-server check --help"],
    [Array.from({ length: 1001 }, () => "a"), "1001 targets are not allowed; allowed: 1000 at most"],
  ];
  test.each(wrong)("%j", (args, part) => {
    expect(complaint(args)).toContain(part);
    expect(complaint(args)).toMatch(/^[^\n]+; allowed: [^\n]+$/);
  });

  test("a misspelt variable of its own", () => {
    expect(complaint(["a"], { ECHO_CHECK_FLOW: "1" })).toBe(
      "ECHO_CHECK_FLOW is unknown (did you mean ECHO_CHECK_FLOWS?); allowed: see echo-server check --help",
    );
    expect(complaint(["a"], { ECHO_CHECK_SIZE: "1" })).toContain("ECHO_CHECK_SIZE=1 is not allowed");
  });

  test("the process says it and exits 2", async () => {
    const { exitCode, stdout, stderr } = await run(["check", "fe80::1"]);
    expect([exitCode, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^echo-server: target "fe80::1" is not allowed: [^\n]+\n$/);
  });
});

test("help names every flag, with examples", async () => {
  const { exitCode, stdout } = await run(["check", "--help"]);
  expect(exitCode).toBe(0);
  for (const { flag, short = [] } of Object.values(
    CHECK_OPTIONS.rows as Record<string, { flag: string; short?: readonly string[] }>,
  ))
    for (const each of [flag, ...short]) expect(stdout).toContain(each);
  expect(stdout).toContain("Examples:");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(125);
});
