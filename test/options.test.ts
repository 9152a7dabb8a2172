import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Invocation, parseCommandLine } from "../src/cli.ts";
import { UsageError } from "../src/errors.ts";
import { endpointOf } from "../src/net/endpoint.ts";
import { flagTable } from "../src/options/describe.ts";
import { isServiceLink, refuseUnknownVariables, unknownVariables } from "../src/options/environment.ts";
import { resolve } from "../src/options/resolve.ts";
import { distance, nearest } from "../src/options/spelling.ts";
import { type Option, variableOf } from "../src/options/table.ts";
import { quotaOfV2 } from "../src/server/machine.ts";
import { SERVE_OPTIONS, type ServeOptions } from "../src/server/options.ts";
import { loopSettings, workerCount } from "../src/server/settings.ts";

const ROWS: [string, Option<unknown>][] = Object.entries(SERVE_OPTIONS.rows);

const variable = (option: Option<unknown>): string => variableOf(SERVE_OPTIONS, option)!;

/** What a command has to do, by its own word. */
function taskOf(name: string, argv: string[], env: Record<string, string> = {}): unknown {
  const invocation = parseCommandLine(argv, env, "0");
  if (invocation.command === null) throw new Error("printed");
  expect(invocation.command.name).toBe(name);
  return invocation.task;
}

function serveOptions(argv: string[], env: Record<string, string> = {}): ServeOptions {
  return taskOf("serve", argv, env) as ServeOptions;
}

function printed(argv: string[], version = "0"): string {
  const invocation: Invocation = parseCommandLine(argv, {}, version);
  if (invocation.command !== null) throw new Error(`not printed but ${invocation.command.name}`);
  return invocation.text;
}

function usageError(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error("no UsageError");
}

describe("the option table", () => {
  test("every default is allowed by its own check, and every flag is given by flag and by variable alike", () => {
    const defaults: Record<string, unknown> = { ...resolve(SERVE_OPTIONS, {}, {}) };
    for (const [name, option] of ROWS) {
      expect(defaults[name]).not.toBeUndefined();
      const isToggle = option.kind.placeholder === "";
      const text = isToggle ? "true" : (option.default ?? (name === "maxTcpSessions" ? "77" : "127.0.0.1"));
      const value = option.kind.parse(text);
      expect(value).not.toBeUndefined();
      const argv = isToggle ? [option.flag] : [option.flag, text];
      expect<unknown>({ ...serveOptions(argv) }[name]).toEqual(value);
      expect<unknown>({ ...serveOptions([], { [variable(option)]: text }) }[name]).toEqual(value);
    }
  });

  test("the defaults of the contract", () => {
    expect(resolve(SERVE_OPTIONS, {}, {})).toMatchObject({
      tcpPort: 1234,
      udpPort: 5678,
      adminPort: 8080,
      noBanner: false,
      bannerFields: [],
      maxTcpSessionsPerClient: 0,
      maxUdpSessions: 65536,
      tcpIdleTimeoutMs: 300_000,
      tcpKeepAliveMs: 60_000,
      udpIdleTimeoutMs: 60_000,
      maxQueuedBytes: 1_048_576,
      proxyProtocol: "off",
      proxyTrusted: [],
      proxyTimeoutMs: 3000,
      udpBannerRate: 20_000,
      udpBannerRatePerPrefix: 5000,
      udpRatePerClient: 0,
      udpAmplificationMax: 10,
      engine: "auto",
      workers: 1,
      drainTimeoutMs: 10_000,
      readinessTimeoutMs: 1000,
      logLevel: "info",
    });
  });

  test("names agree: flag, variable, and one row each", () => {
    expect(variable(SERVE_OPTIONS.rows.tcpPort)).toBe("ECHO_TCP_PORT");
    const flags = ROWS.map(([, { flag }]) => flag);
    expect(new Set(flags).size).toBe(flags.length);
    for (const flag of flags) expect(flag).toMatch(/^--[a-z]+(-[a-z]+)*$/);
  });

  test("help and the table of docs/flags.md name every flag, variable and default", () => {
    const table = flagTable(SERVE_OPTIONS);
    const flat = printed(["serve", "--help"]).replace(/\s+/g, " ");
    for (const [, option] of ROWS) {
      for (const text of [flat, table]) {
        expect(text).toContain(option.flag);
        expect(text).toContain(variable(option));
      }
      if (option.kind.placeholder !== "")
        expect(flat).toContain(`default ${option.default ?? option.defaultNote}`);
    }
    expect(flat).toContain("Examples:");
  });
});

describe("durations and sizes", () => {
  test("durations", () => {
    for (const [text, ms] of Object.entries({
      "500ms": 500,
      "30s": 30_000,
      "5m": 300_000,
      "1h": 3_600_000,
      "1.5s": 1500,
    })) {
      expect(serveOptions(["--tcp-idle-timeout", text]).tcpIdleTimeoutMs).toBe(ms);
    }
    expect(serveOptions(["--tcp-idle-timeout", "off"]).tcpIdleTimeoutMs).toBe(0);
    expect(serveOptions(["--drain-timeout", "0s"]).drainTimeoutMs).toBe(0);
    expect(serveOptions(["--tcp-keepalive", "off"]).tcpKeepAliveMs).toBe(0);
    expect(serveOptions(["--tcp-keepalive", "9h"]).tcpKeepAliveMs).toBe(32_400_000);
    for (const text of ["999ms", "10h"]) {
      const error = usageError(() => serveOptions([`--tcp-keepalive=${text}`]));
      expect(error).toBe(
        `--tcp-keepalive ${text} is not allowed; ` +
          "allowed: a duration such as 500ms, 30s, 5m or 1h, from 1s to 9h, or off",
      );
    }
    for (const text of ["5 parsecs", "5", "-1s", "1d", "", "s", "25h", "1ms", "1e3s", "30S"]) {
      const error = usageError(() => serveOptions([`--tcp-idle-timeout=${text}`]));
      expect(error).toContain(`--tcp-idle-timeout ${text}`.trim());
      expect(error).toContain("500ms, 30s, 5m or 1h");
    }
    usageError(() => serveOptions(["--proxy-timeout", "off"])); // a wait without an end
  });

  test("sizes", () => {
    for (const [text, bytes] of Object.entries({
      "65536": 65536,
      "64KiB": 65536,
      "1MiB": 1048576,
      "2048B": 2048,
    })) {
      expect(serveOptions(["--max-queued-bytes", text]).maxQueuedBytes).toBe(bytes);
    }
    for (const text of ["1", "64kb", "1.5MiB", "2GiB", "MiB", "-1"]) {
      usageError(() => serveOptions([`--max-queued-bytes=${text}`]));
    }
  });
});

describe("ports and addresses", () => {
  test("ports", () => {
    expect(serveOptions(["--tcp-port", "0", "--udp-port", "off"])).toMatchObject({
      tcpPort: 0,
      udpPort: null,
    });
    for (const text of ["70000", "65536", "-1", "http", "1.5", "0x50", "80 "]) {
      expect(usageError(() => serveOptions([`--tcp-port=${text}`]))).toBe(
        `--tcp-port ${text.trimEnd()} is not allowed; allowed: a port from 0 (any free one) to 65535, or off`,
      );
    }
    expect(serveOptions(["--udp-blocked-source-ports", "none"]).udpBlockedSourcePorts).toEqual([]);
    expect(serveOptions(["--udp-blocked-source-ports", "53,9999"]).udpBlockedSourcePorts).toEqual([53, 9999]);
    usageError(() => serveOptions(["--udp-blocked-source-ports", "53,"]));
  });

  test("addresses: given again or as a list, each once", () => {
    expect(serveOptions(["--host", "::1", "--host", "127.0.0.1", "--host=::1"]).hosts).toEqual([
      "::1",
      "127.0.0.1",
    ]);
    expect(serveOptions([], { ECHO_HOST: "fd00::1, 10.0.0.1" }).hosts).toEqual(["fd00::1", "10.0.0.1"]);
    for (const text of ["localhost", "1.2.3", "::g", "fe80::1%eth0", ""]) {
      usageError(() => serveOptions([`--host=${text}`]));
    }
  });

  test("trusted networks", () => {
    expect(serveOptions(["--proxy-trusted", "10.0.0.0/8,fd00::/8"]).proxyTrusted).toEqual([
      "10.0.0.0/8",
      "fd00::/8",
    ]);
    for (const text of ["10.0.0.1/8", "10.0.0.0/33", "lan"]) {
      usageError(() => serveOptions(["--proxy-trusted", text]));
    }
  });
});

describe("limits and rates", () => {
  test("limits and words", () => {
    const options = serveOptions([
      "--max-tcp-sessions-per-client",
      "unlimited",
      "--workers",
      "auto",
      "--no-banner",
    ]);
    expect(options).toMatchObject({ maxTcpSessionsPerClient: 0, workers: 0, noBanner: true });
    expect(workerCount(options)).toBeGreaterThanOrEqual(1);
    for (const flags of [
      "--workers=0",
      "--workers=many",
      "--max-tcp-sessions=0",
      "--udp-amplification-max=0.5",
    ]) {
      usageError(() => serveOptions([flags]));
    }
  });

  test("rates of banners and datagrams: 0 is none, unlimited and off are no limit", () => {
    const rates = (rate: string, perPrefix: string, perClient: string) =>
      serveOptions([
        "--udp-banner-rate",
        rate,
        "--udp-banner-rate-per-prefix",
        perPrefix,
        "--udp-rate-per-client",
        perClient,
      ]);
    expect(rates("0", "0", "off")).toMatchObject({
      udpBannerRate: 0,
      udpBannerRatePerPrefix: 0,
      udpRatePerClient: 0,
    });
    expect(rates("unlimited", "unlimited", "100")).toMatchObject({
      udpBannerRate: Number.POSITIVE_INFINITY,
      udpBannerRatePerPrefix: Number.POSITIVE_INFINITY,
      udpRatePerClient: 100,
    });
    for (const flags of [
      "--udp-rate-per-client=0",
      "--udp-rate-per-client=unlimited",
      "--udp-banner-rate=off",
    ]) {
      usageError(() => serveOptions([flags]));
    }
  });
});

test("no text makes a check throw or let a bad number through", () => {
  const texts = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.,:smhoff/KMiB-]{1,12}$/));
  fc.assert(
    fc.property(texts, fc.constantFrom(...ROWS), (text, [, option]) => {
      const value = option.kind.parse(text);
      if (typeof value === "number") expect(value).toBeWithin(0, 2 ** 31);
    }),
    { numRuns: 2000 },
  );
});

describe("the command line", () => {
  test("serve is what no command means", () => {
    expect(serveOptions(["--tcp-port", "1"]).tcpPort).toBe(1);
    expect(serveOptions(["serve", "--tcp-port", "1"]).tcpPort).toBe(1);
  });

  test("a flag counts before its variable, that before the default", () => {
    const env = { ECHO_TCP_PORT: "2", ECHO_NO_BANNER: "true" };
    expect(serveOptions(["--tcp-port", "1"], env).tcpPort).toBe(1);
    expect(serveOptions([], env)).toMatchObject({ tcpPort: 2, noBanner: true });
    expect(serveOptions([], { ECHO_TCP_PORT: "" }).tcpPort).toBe(1234);
  });

  test("what is wrong is said in one line with what is allowed", () => {
    const wrong: [string[], Record<string, string>, string][] = [
      [["--tcp-prot", "1"], {}, "unknown option '--tcp-prot' (Did you mean --tcp-port?)"],
      [["--banner"], {}, "--banner"],
      [["--tcp-port"], {}, "--tcp-port"],
      [["bench"], {}, '"bench"'],
      [["serve", "now"], {}, '"now"'],
      [[], { ECHO_TCP_PORT: "x" }, "ECHO_TCP_PORT=x"],
      [[], { ECHO_NO_BANNER: "yes" }, "ECHO_NO_BANNER=yes is not allowed; allowed: true or false"],
      [["--tcp-port", "off", "--udp-port", "off"], {}, "--tcp-port off and --udp-port off"],
      [["--log-level", "a\nb"], {}, "--log-level a b"],
      [["health", "sick"], {}, "allowed: ready, live"],
      [["health", "a\nb"], {}, "health a b"],
      [["health", "--tcp-port", "1"], {}, "see echo-server health --help"],
      [["health", "--admin-port", "off"], {}, "--admin-port off"],
    ];
    for (const [argv, env, part] of wrong) {
      const message = usageError(() => parseCommandLine(argv, env, "0"));
      expect(message).toContain(part);
      expect(message).toContain("allowed: ");
      expect(message).not.toContain("\n");
    }
  });

  test("health reads the flags and variables of the server", () => {
    const env = { ECHO_ADMIN_PORT: "9999", ECHO_HOST: "127.0.0.2", ECHO_READINESS_TIMEOUT: "2s" };
    expect(taskOf("health", ["health"], env)).toEqual({
      path: "/readyz",
      endpoint: endpointOf("127.0.0.2", 9999),
      timeoutMs: 3000,
    });
    expect(taskOf("health", ["health", "--admin-host", "::1,::2"], env)).toMatchObject({
      endpoint: endpointOf("::1", 9999),
    });
    expect(taskOf("health", ["health"])).toMatchObject({ endpoint: endpointOf("127.0.0.1", 8080) });
    expect(taskOf("health", ["health", "live", "--admin-port", "1"], env)).toMatchObject({
      path: "/livez",
      endpoint: endpointOf("127.0.0.2", 1),
    });
  });

  test("help and version are printed", () => {
    expect(printed(["--version"], "1.2.3")).toBe("1.2.3\n");
    for (const argv of [["--help"], ["-h"], ["serve", "-h"], ["health", "--help"]])
      expect(printed(argv)).toContain("Usage: echo-server");
  });
});

describe("the environment", () => {
  test("what Kubernetes puts there for Services is neither an option nor a mistake", () => {
    const links = {
      ECHO_SERVER_SERVICE_HOST: "10.0.0.1",
      ECHO_SERVER_SERVICE_PORT: "1234",
      ECHO_SERVER_SERVICE_PORT_ADMIN_TCP: "8080",
      ECHO_SERVER_PORT: "tcp://10.0.0.1:1234",
      ECHO_SERVER_PORT_1234_TCP: "tcp://10.0.0.1:1234",
      ECHO_SERVER_PORT_1234_TCP_PROTO: "tcp",
      ECHO_SERVER_PORT_5678_UDP_ADDR: "10.0.0.1",
      ECHO_TCP_PORT: "tcp://10.0.0.2:1234", // a Service named echo-tcp
      ECHO_UDP_PORT: "udp://10.0.0.2:5678",
    };
    for (const [name, value] of Object.entries(links)) expect(isServiceLink(name, value)).toBe(true);
    expect(unknownVariables(links, SERVE_OPTIONS)).toEqual([]);
    expect(resolve(SERVE_OPTIONS, {}, links)).toMatchObject({ tcpPort: 1234, udpPort: 5678 });
  });

  test("variables of other commands and of tests are no mistake of serve", () => {
    for (const name of ["CHECK", "WATCH", "FLEET", "MESH", "TEST", "E2E"]) {
      expect(unknownVariables({ [`ECHO_${name}_DURATION`]: "x" }, SERVE_OPTIONS)).toEqual([]);
      expect(unknownVariables({ [`ECHO_${name}`]: "x" }, SERVE_OPTIONS)).toEqual([`ECHO_${name}`]);
    }
  });

  test("a misspelt variable is found", () => {
    const env = { ECHO_TCP_PROT: "1", ECHO_TPC_PORT: "1", ECHO_TCP_PORT: "1", ECHO_POD_NAME: "x", PATH: "/" };
    expect(unknownVariables(env, SERVE_OPTIONS)).toEqual(["ECHO_TCP_PROT", "ECHO_TPC_PORT"]);
  });

  test("a misspelt variable is refused, with the one that may have been meant", () => {
    const meant = {
      ECHO_TPC_PORT: "ECHO_TCP_PORT",
      ECHO_TCP_PROTO: "ECHO_TCP_PORT",
      ECHO_MAX_TCP_SESSION: "ECHO_MAX_TCP_SESSIONS",
      ECHO_LOGLEVEL: "ECHO_LOG_LEVEL",
      ECHO_BANNER_FIELD: "ECHO_BANNER_FIELDS",
      ECHO_POD_NAMES: "ECHO_POD_NAME",
      ECHO_tcp_port: null,
      ECHO_SHOE_SIZE: null,
      ECHO_: null,
    };
    for (const [written, wanted] of Object.entries(meant)) {
      const hint = wanted === null ? "" : ` (did you mean ${wanted}?)`;
      expect(usageError(() => refuseUnknownVariables({ [written]: "1" }, SERVE_OPTIONS, "serve"))).toBe(
        `${written} is unknown${hint}; allowed: see echo-server serve --help`,
      );
    }
    for (const name of ["CHECK", "WATCH", "FLEET", "MESH", "TEST", "E2E"])
      refuseUnknownVariables({ [`ECHO_${name}_X`]: "1" }, SERVE_OPTIONS, "serve");
  });

  test("letters apart: inserted, removed, replaced, swapped", () => {
    const apart: [string, string, number][] = [
      ["", "abc", 3],
      ["abc", "abc", 0],
      ["abc", "acb", 1],
      ["abc", "axbc", 1],
      ["abc", "ac", 1],
      ["abc", "abd", 1],
      ["kitten", "sitting", 3],
    ];
    for (const [a, b, changes] of apart) expect([a, b, distance(a, b)]).toEqual([a, b, changes]);
    const word = fc.stringMatching(/^[abc]{0,6}$/);
    fc.assert(fc.property(word, word, (a, b) => expect(distance(a, b)).toBe(distance(b, a))));
    expect(nearest("zz", ["abcd", "abce"])).toBeNull();
  });
});

describe("what loops are told", () => {
  test("banner fields come from the downward API, in the order asked for", () => {
    const env = { ECHO_POD_NAME: "server1", ECHO_NODE_NAME: "node-1", ECHO_NAMESPACE: "echo-server" };
    const settings = loopSettings(serveOptions(["--banner-fields", "node,pod,node"]), env);
    expect(settings.bannerFields).toBe("Node: node-1\nPod: server1\n");
    expect(loopSettings(serveOptions([]), env).bannerFields).toBe("");
    usageError(() => serveOptions(["--banner-fields", "pod,shoe"]));
  });

  test("a field whose variable is not there or not one word is a usage error", () => {
    const options = serveOptions(["--banner-fields", "pod"]);
    expect(usageError(() => loopSettings(options, {}))).toContain("ECHO_POD_NAME is not set");
    expect(usageError(() => loopSettings(options, { ECHO_POD_NAME: "a\nClient: b" }))).toContain(
      "not allowed",
    );
  });

  test("a CPU quota is read as cores", () => {
    expect(quotaOfV2("150000 100000\n")).toBe(1.5);
    expect(quotaOfV2("max 100000\n")).toBeNull();
    expect(quotaOfV2("")).toBeNull();
  });
});
