import { describe, expect, test } from "bun:test";
import { Command } from "commander";
import { UsageError } from "../../src/errors.ts";
import { flagTable } from "../../src/options/describe.ts";
import { type Environment, unknownVariables } from "../../src/options/environment.ts";
import { addFlags } from "../../src/options/flags.ts";
import {
  duration,
  eachOnce,
  integer,
  listenPort,
  namedPorts,
  portList,
  size,
  toggle,
} from "../../src/options/kinds.ts";
import { resolve } from "../../src/options/resolve.ts";
import { option, type Table, type ValuesOf, variableOf } from "../../src/options/table.ts";

/** A table of no command: what holds for one holds for any. */

const ROWS = {
  connections: option({
    flag: "--connections",
    short: ["-c", "-n"],
    group: "Load",
    kind: integer(1, 1000),
    default: "1",
    help: "sessions",
  }),
  quiet: option({ flag: "--quiet", kind: toggle, default: "false", help: "say nothing" }),
  durationMs: option({
    flag: "--duration",
    group: "Load",
    kind: duration({ minMs: 100, bareSeconds: true }),
    default: null,
    defaultNote: "until a signal",
    help: "how long",
  }),
  ports: option({
    flag: "--port",
    kind: portList,
    default: "none",
    help: "which | of them",
    whenRepeated: eachOnce,
  }),
  adminPort: option({ flag: "--admin-port", kind: listenPort, default: "off", help: "admin" }),
  size: option({ flag: "--size", kind: size(1, 65_536), default: null, help: "bytes" }),
};
type Values = ValuesOf<typeof ROWS>;

const TABLE: Table<typeof ROWS> = {
  variables: { prefix: "ECHO_TRY_", besides: ["ECHO_TRY_NAME"], others: ["ECHO_TRY_OUT_"] },
  rows: ROWS,
};
const WITHOUT_VARIABLES: Table<typeof ROWS> = { variables: null, rows: ROWS };

function commandOf(table: Table<typeof ROWS>) {
  const command = new Command("try").exitOverride().configureOutput({ writeErr: () => {} });
  return { command, given: addFlags(command, table) };
}

function values(argv: string[], env: Environment = {}, table = TABLE): Values {
  const { command, given } = commandOf(table);
  command.parse(argv, { from: "user" });
  return resolve(table, given, env);
}

function complaint(argv: string[], env: Environment = {}): string {
  try {
    values(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error("no UsageError");
}

describe("where a value comes from", () => {
  test("the default, or null where there is none", () => {
    const byDefault: Values = values([]);
    expect(byDefault).toEqual({
      connections: 1,
      quiet: false,
      durationMs: null,
      ports: [],
      adminPort: null,
      size: null,
    });
  });

  test("a flag counts before its variable, which begins with the table's own prefix", () => {
    const env = { ECHO_TRY_CONNECTIONS: "5", ECHO_TRY_QUIET: "true", ECHO_CONNECTIONS: "7" };
    expect(values([], env)).toMatchObject({ connections: 5, quiet: true });
    expect(values(["--connections", "6"], env)).toMatchObject({ connections: 6, quiet: true });
    expect(values([], { ECHO_CONNECTIONS: "7" }).connections).toBe(1);
  });

  test("a table without variables heeds flags alone", () => {
    const env = { ECHO_TRY_CONNECTIONS: "5", ECHO_CONNECTIONS: "5", CONNECTIONS: "5", NULLCONNECTIONS: "5" };
    expect(values([], env, WITHOUT_VARIABLES).connections).toBe(1);
    expect(variableOf(WITHOUT_VARIABLES, ROWS.connections)).toBeNull();
    expect(unknownVariables(env, WITHOUT_VARIABLES)).toEqual([]);
  });

  test("short flags mean what the long one means, each of them", () => {
    for (const argv of [["-c", "9"], ["-n", "9"], ["-c9"], ["-n9"], ["--connections=9"]])
      expect(values(argv).connections).toBe(9);
    expect(values(["-c", "9", "-n", "8", "--connections", "7", "-c", "6"]).connections).toBe(6);
    expect(complaint(["-n", "x"])).toBe(
      "--connections x is not allowed; allowed: a whole number from 1 to 1000",
    );
  });
});

describe("a flag given again", () => {
  test("adds up where its row says how, and a wrong one of them is named alone", () => {
    expect(values(["--port", "1,2", "--port", "2", "--port=3"]).ports).toEqual([1, 2, 3]);
    expect(complaint(["--port", "1", "--port", "x"])).toBe(
      "--port x is not allowed; allowed: ports from 1 to 65535 separated by commas, or none",
    );
  });

  test("else the last one counts, and none of them may be wrong", () => {
    expect(values(["--size", "1", "--size", "16KiB"]).size).toBe(16_384);
    expect(values(["--admin-port", "1", "--admin-port", "off"]).adminPort).toBeNull();
    expect(complaint(["--size", "x", "--size", "1"])).toContain("--size x is not allowed");
  });
});

test("a bare number is seconds where the kind says so, and only there", () => {
  const strict = duration({ minMs: 100 });
  const bare = duration({ minMs: 100, bareSeconds: true });
  for (const [text, ms] of Object.entries({
    "3": 3000,
    "0.5": 500,
    "500ms": 500,
    "3s": 3000,
    "1m": 60_000,
  })) {
    expect([text, bare.parse(text)]).toEqual([text, ms]);
    expect([text, strict.parse(text)]).toEqual([text, /\d$/.test(text) ? undefined : ms]);
  }
  for (const text of [
    "",
    "s",
    "0.05",
    "-1",
    "1e3",
    "3 ",
    "3S",
    "1.",
    ".5",
    "90000",
    "off",
    "Infinity",
    "0x10",
  ])
    expect([text, bare.parse(text)]).toEqual([text, undefined]);
  expect(complaint(["--duration", "3 days"])).toBe(
    "--duration 3 days is not allowed; allowed: a duration such as 500ms, 30s, 5m or 1h, from 100ms to 24h; " +
      "a bare number is seconds",
  );
});

test("ports by name: each name and each port once, eight at most", () => {
  const read = namedPorts.parse;
  expect(read("none")).toEqual([]);
  expect(read("tcp:8080, my-udp2:65535")).toEqual([
    { name: "tcp", port: 8080 },
    { name: "my-udp2", port: 65_535 },
  ]);
  const many = (count: number): string =>
    Array.from({ length: count }, (_, at) => `c${at}:${at + 1}`).join(",");
  expect(read(many(8))).toHaveLength(8);
  const wrong = [
    "",
    ",",
    "tcp",
    "8080",
    "tcp:",
    ":8080",
    "tcp:0",
    "tcp:65536",
    "tcp:08080000",
    "tcp:8080,",
    "TCP:1",
  ];
  const worse = [
    "-a:1",
    "a-:1",
    "a b:1",
    "a:1:2",
    "a:-1",
    "a:1,a:2",
    "a:1,b:1",
    "none,a:1",
    many(9),
    `${"a".repeat(64)}:1`,
  ];
  for (const text of [...wrong, ...worse, "<b>:1"]) expect([text, read(text)]).toEqual([text, undefined]);
});

test("variables with the prefix that nothing reads are unknown; others' and Services' are not", () => {
  const env = {
    ECHO_TRY_CONNECTION: "1",
    ECHO_TRY_: "1",
    ECHO_TRY_CONNECTIONS: "1",
    ECHO_TRY_NAME: "x",
    ECHO_TRY_OUT_X: "1",
    ECHO_TCP_PORT: "1",
    ECHO_TRY_SERVICE_HOST: "10.0.0.1",
    ECHO_TRY_PORT: "tcp://10.0.0.1:1",
  };
  expect(unknownVariables(env, TABLE)).toEqual(["ECHO_TRY_", "ECHO_TRY_CONNECTION"]);
});

describe("words about a table", () => {
  test("help has the groups in order, the first short flag, variable and default", () => {
    const { command } = commandOf(TABLE);
    const help = command.helpInformation();
    for (const text of [
      "Load:",
      "-c, --connections <n>",
      "[ECHO_TRY_CONNECTIONS; default 1]",
      "[ECHO_TRY_SIZE]",
    ])
      expect(help).toContain(text);
    expect(help).not.toContain("-n");
    expect(help.replace(/\s+/g, " ")).toContain("[ECHO_TRY_DURATION; default until a signal]");
    const { command: plain } = commandOf(WITHOUT_VARIABLES);
    expect(plain.helpInformation()).toContain("[default 1]");
    expect(plain.helpInformation()).not.toContain("ECHO_");
  });

  test("Markdown has a heading for each group, once, and no bar that would end a cell", () => {
    const lines = flagTable(TABLE).split("\n");
    expect(lines.slice(0, 3)).toEqual([
      "| flag | variable | default | meaning |",
      "|---|---|---|---|",
      "| **Load** | | | |",
    ]);
    expect(lines[3]).toBe(
      "| `-c`, `-n`, `--connections` | `ECHO_TRY_CONNECTIONS` | `1` | sessions; allowed: a whole number from 1 to 1000 |",
    );
    expect(lines[4]).toStartWith("| `--duration` | `ECHO_TRY_DURATION` | until a signal | how long; ");
    expect(lines[5]).toBe("| **Options** | | | |");
    expect(lines[7]).toContain("which \\| of them");
    expect(lines.filter((line) => line.startsWith("| **"))).toHaveLength(2);
  });

  test("Markdown of a table without variables has no column for them", () => {
    const lines = flagTable(WITHOUT_VARIABLES).split("\n");
    expect(lines.slice(0, 4)).toEqual([
      "| flag | default | meaning |",
      "|---|---|---|",
      "| **Load** | | |",
      "| `-c`, `-n`, `--connections` | `1` | sessions; allowed: a whole number from 1 to 1000 |",
    ]);
  });
});
