import { describe, expect, test } from "bun:test";
import { hostname } from "node:os";
import { parseCommandLine } from "../../src/cli.ts";
import { MESH_OPTIONS, type MeshTask } from "../../src/commands/mesh.ts";
import { UsageError } from "../../src/errors.ts";
import { type Option, variableOf } from "../../src/options/table.ts";
import { run } from "../harness.ts";

/** What a command line and variables ask of a prober. */

function taskOf(args: readonly string[], env: Record<string, string> = {}): MeshTask {
  const { command, ...rest } = parseCommandLine(["mesh", ...args], env, "1");
  expect(command?.name).toBe("mesh");
  return (rest as { task: MeshTask }).task;
}

function complaint(args: readonly string[], env: Record<string, string> = {}): string {
  try {
    taskOf(args, env);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).message;
  }
  throw new Error(`${args.join(" ")} is allowed`);
}

const ROWS: [string, Option<unknown>][] = Object.entries(MESH_OPTIONS.rows);

/** A value of each option that is not its default, and what it makes of the task. */
const GIVEN: Readonly<Record<string, readonly [string, object]>> = {
  name: ["peers.ns.svc", { question: { name: "peers.ns.svc" } }],
  members: ["s1.h, s2.h,s1.h", { question: { members: ["s1.h", "s2.h"] } }],
  membersMax: ["7", { question: { membersMax: 7 } }],
  degree: ["3", { question: { degree: 3 } }],
  podName: ["server1-abc", { self: { name: "server1-abc" } }],
  nodeName: ["node-1", { self: { node: "node-1" } }],
  address: ["fd00::1", { question: { address: "fd00::1", family: 6 } }],
  ipv4: ["true", { question: { family: 4 } }],
  ipv6: ["true", { question: { family: 6 } }],
  tcpPort: ["off", { question: { tcpPort: null } }],
  udpPort: ["99", { question: { udpPort: 99 } }],
  intervalMs: ["5", { question: { intervalMs: 5000 } }],
  timeoutMs: ["300ms", { question: { timeoutMs: 300 } }],
  noBanner: ["true", { question: { banner: false } }],
  engine: ["bun", { engine: "bun" }],
  adminHosts: ["127.0.0.1,::1", { admin: { hosts: ["127.0.0.1", "::1"] } }],
  adminPort: ["9999", { admin: { port: 9999 } }],
  podAdminPorts: [
    "tcp:8080,mesh:8082",
    {
      admin: {
        podPorts: [
          { name: "tcp", port: 8080 },
          { name: "mesh", port: 8082 },
        ],
      },
    },
  ],
  maxAdminConnections: ["7", { admin: { connectionsMax: 7 } }],
  logLevel: ["debug", { log: { logLevel: "debug" } }],
  logFormat: ["pretty", { log: { logFormat: "pretty" } }],
};

test("the defaults of the contract", () => {
  expect(taskOf([])).toEqual({
    question: {
      ...{ name: "mesh", members: [], address: null, family: null, tcpPort: 1234, udpPort: 5678 },
      ...{ intervalMs: 1000, timeoutMs: 500, degree: 10, membersMax: 1000, banner: true },
    },
    self: { name: hostname(), node: null },
    engine: "auto",
    admin: { hosts: null, port: 8082, connectionsMax: 64, podPorts: [] },
    log: { logLevel: "info", logFormat: "auto" },
  });
});

test("every option is given by flag and by variable alike", () => {
  expect(Object.keys(GIVEN)).toEqual(ROWS.map(([name]) => name));
  for (const [name, option] of ROWS) {
    const [text, makes] = GIVEN[name]!;
    const args = option.kind.placeholder === "" ? [option.flag] : [option.flag, text];
    expect(taskOf(args)).toMatchObject(makes);
    const variable = variableOf(MESH_OPTIONS, option)!;
    expect(variable).toBe(`ECHO_MESH_${option.flag.slice(2).replaceAll("-", "_").toUpperCase()}`);
    expect(taskOf([], { [variable]: text })).toMatchObject(makes);
  }
  expect(taskOf(["-4", "-i", "2s", "-W", "3"])).toMatchObject({
    question: { family: 4, intervalMs: 2000, timeoutMs: 3000 },
  });
  expect(taskOf(["--admin-port", "off"]).admin).toBeNull();
  expect(taskOf(["--members", "none"]).question.members).toEqual([]);
  expect(taskOf(["--admin-host", "127.0.0.1", "--admin-host", "127.0.0.2"]).admin!.hosts).toHaveLength(2);
});

describe("is refused in one line that says what is allowed:", () => {
  const many = Array.from({ length: 33 }, (_, index) => `s${index}.h`).join(",");

  test.each<[string[], string]>([
    [["--name", "10.0.0.1"], "--name 10.0.0.1 is not allowed; allowed: a name such as"],
    [["--name", "mesh:80"], "a name such as"],
    [["--name", ""], "a name such as"],
    [["--members", "s1.h,,s2.h"], "separated by commas, 32 at most"],
    [["--members", many], "32 at most"],
    [["--max-members", "1"], "a whole number from 2 to 5000"],
    [["--degree", "0"], "a whole number from 1 to 100"],
    [["--pod-name", "<b>"], "letters or digits at both ends"],
    [["--node-name", "a b"], "letters or digits at both ends"],
    [["--address", "mesh"], "an IP address"],
    [["--address", "0.0.0.0"], "an IP address of this machine"],
    [["--address", "ff02::1"], "an IP address of this machine"],
    [["--max-admin-connections", "0"], "a whole number from 1"],
    [["--pod-admin-ports", "8080"], "names and ports"],
    [["--address", "10.0.0.1", "-6"], "allowed: an IPv6 address"],
    [["-4", "-6"], "allowed: one of them"],
    [["--tcp-port", "0"], "a port from 1 to 65535, or off"],
    [["--tcp-port", "off", "--udp-port", "off"], "nothing to ask; allowed: at most one of them off"],
    [["--interval", "99ms"], "from 100ms to 1h"],
    [["--timeout", "9ms"], "from 10ms to 1h"],
    [["--engine", "node"], "auto, bun, linux"],
    [["--admin-port", "x"], "a port from 0"],
    [["--log-level", "loud"], "trace, debug, info"],
    [["peers"], "peers"],
  ])("%j", (args, part) => {
    const said = complaint(args);
    expect(said).toContain(part);
    expect(said).toContain("allowed: ");
    expect(said).not.toContain("\n");
  });

  test("by the process, too: exit code 2; a variable that nothing reads, with the one that may be meant", async () => {
    const { exitCode, stdout, stderr } = await run(["mesh"], { env: { ECHO_MESH_DEGREES: "3" } });
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toBe(
      "echo-server: ECHO_MESH_DEGREES is unknown (did you mean ECHO_MESH_DEGREE?); allowed: see echo-server mesh --help\n",
    );
  });

  test("an admin port that is taken: one line, exit code 1", async () => {
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const args = ["mesh", "--admin-host", "127.0.0.1", "--admin-port", String(taken.port)];
    const { exitCode, stderr } = await run(args);
    expect(exitCode).toBe(1);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toContain(String(taken.port));
  });
});

test("the server's own variables, and addresses of Services, are none of a prober's", () => {
  const env = {
    ECHO_TCP_PORT: "nonsense",
    ECHO_WORKERS: "nonsense",
    ECHO_MESH_SERVICE_HOST: "10.0.0.1",
    ECHO_MESH_PORT: "tcp://10.0.0.1:8082",
    ECHO_MESH_TCP_PORT: "tcp://10.0.0.1:1234",
  };
  expect(taskOf([], env)).toEqual(taskOf([]));
});

test("help names every flag, variable and default, and has examples", () => {
  const invocation = parseCommandLine(["mesh", "--help"], {}, "1");
  if (invocation.command !== null) throw new Error("not printed");
  const flat = invocation.text.replace(/\s+/g, " ");
  for (const [, option] of ROWS) {
    expect(flat).toContain(option.flag);
    expect(flat).toContain(variableOf(MESH_OPTIONS, option)!);
    if (option.kind.placeholder !== "")
      expect(flat).toContain(`default ${option.default ?? option.defaultNote}`);
  }
  expect(flat).toContain("Examples: echo-server mesh");
});
