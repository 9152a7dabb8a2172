import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { parseCommandLine } from "../bench/command-line.ts";
import { faultyTcp } from "../bench/dev/faulty-echo.ts";
import type { BenchOptions } from "../bench/options.ts";
import type { Drawn } from "../bench/print/report.ts";
import { renderTables } from "../bench/print/table.ts";
import type { CellResult } from "../bench/run/types.ts";
import { SCENARIOS } from "../bench/scenarios.ts";
import { bench, finish, json, LINUX, startBench } from "./bench-run.ts";

const folder = mkdtempSync(`${tmpdir()}/echo-bench-`);
afterAll(() => rmSync(folder, { recursive: true }));

describe("a wrong command line ends with 2 and one line", () => {
  const wrong: [string, string[]][] = [
    ["--frobnicate", ["--frobnicate"]],
    ["Did you mean --duration?", ["--durtion", "3s"]],
    ["tcp-pong", ["--scenario", "tcp-pong"]],
    ["--connections 0", ["--connections", "0"]],
    ["--connections 0", ["-c", "0"]],
    ["--size 70000", ["--size", "70000", "--scenario", "udp-ping"]],
    ["--size 129KiB is not allowed; allowed: a size such as 65536, 64KiB or 1MiB", ["--size", "129KiB"]],
    ["--duration soon is not allowed; allowed: a duration such as 500ms, 30s", ["--duration", "soon"]],
    ["a bare number is seconds", ["--duration", "soon"]],
    ["--duration 5x", ["-d", "5x"]],
    ["--duration 5x", ["-z", "5x"]],
    ["--rate -1", ["--rate=-1"]],
    ["--rate 10g is not allowed; allowed: a whole number such as 500, 20k or 1M", ["-R", "10g"]],
    ["--requests 0", ["--requests", "0"]],
    ["--warmup -1s", ["--warmup=-1s"]],
    ["--target nowhere", ["--target", "nowhere"]],
    ["--tcp 10.0.0.1:70000", ["--tcp", "10.0.0.1:70000"]],
    ["--source localhost is not allowed; allowed: an IP address", ["--source", "localhost"]],
    ["--scenario udp-ping needs a udp port", ["--tcp", "127.0.0.1:7", "--scenario", "udp-ping"]],
    ["--fail-if p99>5 is not allowed; allowed: bounds such as 'p99>5ms,lost>0'", ["--fail-if", "p99>5"]],
    ["--fail-if lost=0", ["--fail-if", "lost=0"]],
    ["--fail-if lost>0,", ["--fail-if", "lost>0,"]],
    ["--fail-if speed<5", ["--fail-if", "speed<5"]],
    ["--fail-if and --compare", ["--compare", "--fail-if", "lost>0"]],
    ["--peer", ["--peer", "my-echo {tcp}"]],
    ["{tcp}", ["--compare", "--peer", "my-echo"]],
    ["--peer my-echo", ["--compare", "--peer", "my-echo", "--peer", "my-echo {tcp}"]],
    ["--target and --compare", ["--compare", "--target", "127.0.0.1:7"]],
    ["extra", ["extra"]],
  ];
  for (const [part, args] of wrong) {
    test(args.join(" "), async () => {
      const { exitCode, stdout, stderr } = await bench(args);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toMatch(/^bench: [^\n]+\n$/);
      expect(stderr).toContain(part);
    });
  }

  test("a target that nobody serves is no usage error: 1", async () => {
    const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = closed;
    closed.stop(true);
    const args = ["--target", `127.0.0.1:${port}`, "--scenario", "tcp-ping"];
    const { exitCode, stderr } = await bench(args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^bench: [^\n]+\n$/);
  });
});

test("--help names every scenario and every option, and shows examples", async () => {
  const { exitCode, stdout } = await bench(["--help"]);
  expect(exitCode).toBe(0);
  for (const part of [
    ...["Examples:", "tcp-churn", "udp-window", "scale", "-R, --rate", "-c, --connections", "-d, --duration"],
    ...["also -z", "--requests", "--warmup", "--tcp", "--udp", "--source", "--fail-if", "--html"],
    ...["[default all but scale]", "[default 2s, or as long as --requests takes]", "[default 3]"],
  ])
    expect(stdout).toContain(part);
});

describe("the command line", () => {
  const parsed = (...argv: string[]): BenchOptions => parseCommandLine(argv)!;

  test("leaves what is not given to the defaults, which depend on each other", () => {
    expect(parsed()).toMatchObject({
      durationMs: 2000,
      warmupMs: 700,
      requests: 0,
      workers: 1,
      repetitions: 3,
    });
    expect(parsed()).toMatchObject({ target: null, failIf: [], peers: [], compare: false, json: false });
    expect(parsed().scenarios).toEqual(Object.keys(SCENARIOS));
    expect(parsed("-d", "300ms").warmupMs).toBe(300);
    expect(parsed("--requests", "100k")).toMatchObject({ requests: 100_000, durationMs: 3_600_000 });
    const overUdp = parsed("--udp", "127.0.0.1:7");
    expect(overUdp.target).toEqual({ tcp: null, udp: { host: "127.0.0.1", port: 7 } });
    expect(overUdp.scenarios).toEqual(["udp-ping", "udp-window"]);
    const apart = parsed("--target", "[::1]:7", "--tcp", "echo:8").target;
    expect(apart).toEqual({ tcp: { host: "echo", port: 8 }, udp: { host: "::1", port: 7 } });
  });

  test("has one way to write durations and sizes, and a bare number of seconds besides", () => {
    for (const text of ["3s", "3000ms", "0.05m", "3"]) {
      for (const flag of ["--duration", "-d", "-z"]) expect(parsed(flag, text).durationMs).toBe(3000);
    }
    for (const text of ["16KiB", "16384", "16384B"]) expect(parsed("--size", text).size).toBe(16_384);
  });

  test("adds up --peer and --fail-if, and of the others takes the last, by whichever of its flags", () => {
    const peers = parsed("--compare", "--peer", "a {tcp}", "--peer", "b {udp}").peers;
    expect(peers).toEqual(["a {tcp}", "b {udp}"]);
    const failIf = parsed("--fail-if", "max>1m,lost>0", "--fail-if", "rate<10k").failIf;
    expect(failIf.map(({ text }) => text)).toEqual(["max>1m", "lost>0", "rate<10k"]);
    expect(parsed("-c", "3", "--connections", "4", "-c5").connections).toBe(5);
    expect(parsed("-d", "1s", "-z", "2s", "-d", "3s").durationMs).toBe(3000);
    expect(parsed("-z", "1s", "-d", "2s", "-z", "3s").durationMs).toBe(3000);
  });
});

/** A result that needs as much room as one can. */
const widest = (scenario: string, mode: CellResult["cell"]["mode"], rate: number): CellResult => {
  const times = { p50: 41, p90: 9_000_000, p95: 9e6, p99: 10_000_000, p999: 59_999_999, max: 60_000_000 };
  const protocol = scenario.startsWith("udp") ? "udp" : "tcp";
  return {
    cell: { scenario, protocol, mode, connections: 60_000, size: 65_507, inFlight: 64, rate },
    ...{
      errors: 60_000,
      lost: 10_201_048,
      duplicated: 10_201_048,
      reordered: 10_201_048,
      corrupted: 10_201_048,
    },
    ...{ foreign: 10_201_048, late: 10_201_048, notSent: 10_201_048 },
    ...{ exact: false, reasons: ["10,201,048 messages lost"], limits: [], notes: [] },
    ...{
      sessions: 60_000,
      messages: 1,
      seconds: 1,
      messagesPerSecond: 10_000_000,
      megabytesPerSecond: 99_999.9,
    },
    ...{ sent: 1, roundTrip: times, sentLate: rate > 0 ? times : null, curve: [] },
    ...{ serverCpuMicros: 1234.56, serverUserMicros: 1034.56, serverSystemMicros: 1034.56 },
    ...{ serverRssMb: 12_345.6, rssPerSession: -12_345, idleCpu: 1, loadCpu: 1 },
    ...{ serverCore: null, loadCore: { used: 1, waited: 0 }, samples: [] },
  };
};

test("no table is wider than 100 columns, whatever stands in it", () => {
  const results = [
    widest("udp-window", "echo", 0),
    widest("tcp-pipeline", "echo", 10_000_000),
    widest("tcp-idle", "idle", 0),
  ];
  const [, ...parts] = renderTables(results, []).split("\n\n");
  const lines = parts.join("\n").split("\n");
  expect(lines.length).toBeGreaterThan(15);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
});

describe.if(LINUX)("the tables", () => {
  test("say first whether it was exact, and have the faults among their columns", async () => {
    const { stdout } = await bench(["--scenario", "tcp-ping", "--connections", "3", "--duration", "0.2"]);
    expect(stdout).toMatch(/^(EXACT|NOT MEASURED)/);
    const heads = stdout.split("\n").filter((line) => line.startsWith("scenario "));
    const columns = [
      ...[
        "p50 ",
        "p99.9 ",
        "max ",
        "errors",
        "lost",
        "dupl.",
        "reord.",
        "corrupt",
        "foreign",
        "late",
        "unsent",
      ],
      ...["server CPU us", "user us", "system us", "RSS MB", "load CPU %"],
    ];
    for (const head of columns) expect(heads.filter((line) => line.includes(head))).toHaveLength(1);
    expect(stdout.match(/\ntcp-ping +64 B x 3 /g)).toHaveLength(heads.length);
    for (const line of stdout.split("\n").slice(3)) expect(line.length).toBeLessThanOrEqual(100);
  });

  test("come after Ctrl-C too, with what there is", async () => {
    using server = faultyTcp("none");
    const enough = Promise.withResolvers<void>();
    const since = performance.now();
    server.onMessage = () => {
      if (performance.now() - since > 1500) enough.resolve(); // warm-up is over
    };
    const args = ["--target", `127.0.0.1:${server.port}`, "--scenario", "tcp-ping,tcp-pipeline"];
    const child = startBench([...args, "--connections", "3", "--duration", "600"]);
    await enough.promise;
    child.kill("SIGINT");
    const { stdout } = await finish(child);
    expect(stdout).toMatch(/\ntcp-ping +64 B x 3 +\d/);
    expect(stdout).not.toContain("\ntcp-pipeline");
  });

  test("have what was asked beside what was reached", async () => {
    const args = ["--scenario", "tcp-ping", "-c", "3", "-R", "1k", "-d", "300ms"];
    const { stdout } = await bench(args);
    expect(stdout).toMatch(/\nscenario +what +asked\/s +msg\/s /);
    expect(stdout).toMatch(/\ntcp-ping +64 B x 3 +1,000 +\d/);
    expect(stdout).toContain("sent late p99 ");
  });
});

describe.if(LINUX)("the report", () => {
  test("is one file that needs no other, with the run's numbers in it", async () => {
    const file = `${folder}/report.html`;
    const args = [
      "--scenario",
      "tcp-ping,udp-ping",
      "--connections",
      "3",
      "--size",
      "64",
      "--duration",
      "0.6",
    ];
    const { stdout, stderr } = await bench([...args, "--html", file]);
    expect(stderr).toBe(`wrote ${file}\n`);
    expect(stdout).toContain("tcp-ping");
    const html = await Bun.file(file).text();
    const seen = { scripts: 0, loads: 0, cells: 0, named: 0, charts: new Set<string>() };
    const data: string[] = [];
    const words: string[] = [];
    new HTMLRewriter()
      .on("script", { element: () => void seen.scripts++ })
      .on("[src], link, img, iframe", { element: () => void seen.loads++ })
      .on("td", { element: () => void seen.cells++ })
      .on("td[data-head]", { element: () => void seen.named++ })
      .on("h1 .state", { text: (chunk) => void words.push(chunk.text) })
      .on("p code", { text: (chunk) => void words.push(chunk.text) })
      .on("div[id]", { element: (div) => void seen.charts.add(div.getAttribute("id") ?? "") })
      .on("script#data", { text: (chunk) => void data.push(chunk.text) })
      .transform(html);
    expect({ scripts: seen.scripts, loads: seen.loads }).toEqual({ scripts: 3, loads: 0 });
    expect(words.join("|")).toMatch(/^(exact|not measured)\|+bun run bench --scenario tcp-ping,udp-ping /);
    expect([...seen.charts]).toEqual(["latency", "throughput", "cpu", "rss"]);
    expect(seen.cells).toBeGreaterThan(20);
    expect(seen.named).toBe(seen.cells);
    const drawn = JSON.parse(data.join("")) as Drawn[];
    expect(drawn.map(({ name }) => name)).toEqual([
      "tcp-ping: 64 B, 3 conns",
      expect.stringMatching(/^udp-ping: 64 B, 3 sockets/),
    ]);
    for (const { oneIn, micros, seconds, perSecond, cpuPercent, rssMb } of drawn) {
      expect(oneIn.length).toBe(micros.length);
      expect(oneIn.length).toBeGreaterThan(20);
      expect(oneIn).toEqual(oneIn.toSorted((a, b) => a - b));
      expect(seconds.length).toBeGreaterThan(0);
      expect([perSecond.length, cpuPercent.length, rssMb.length]).toEqual(Array(3).fill(seconds.length));
    }
  });

  test("draws percentiles as far as there are messages, and no further", async () => {
    const args = ["--scenario", "tcp-ping", "-c", "1", "--requests", "200", "--warmup", "0.1"];
    const { results } = await json(args);
    const [result] = results;
    const [highest] = result!.curve.at(-1)!;
    expect(result!.messages).toBe(200);
    // Of 200 messages, 99.5 % is the last of which one is beyond.
    expect(highest).toBeGreaterThanOrEqual(99);
    expect(highest).toBeLessThanOrEqual(99.5);
  });
});

describe.if(LINUX)("--compare", () => {
  test("leaves no process of a peer's behind, not those that the peer started either", async () => {
    const echo = `${folder}/forking-echo.ts`;
    const mark = `${1e6 + Math.floor(Math.random() * 1e6)}`;
    await Bun.write(
      echo,
      `Bun.spawn(["${Bun.which("sleep")}", "${mark}"]);
Bun.listen({ hostname: "127.0.0.1", port: Number(process.argv[2]), socket: { data(socket, bytes) { socket.write(bytes); } } });`,
    );
    const args = ["--compare", "--scenario", "tcp-ping", "--connections", "3", "--duration", "0.2"];
    const peer = ["--peer", `${process.execPath} ${echo} {tcp}`];
    await bench([...args, "--repetitions", "1", ...peer], { PATH: folder }); // no other peer is found there
    const left = await Bun.$`ps -eo args`.text();
    expect(left).not.toContain(`sleep ${mark}`);
  });

  test("a peer that is not on the machine is there as absent, and one that is has figures", async () => {
    const empty = `${folder}/no-programs`;
    mkdirSync(empty);
    const echo = `${folder}/my-echo.ts`;
    await Bun.write(
      echo,
      `Bun.listen({ hostname: "127.0.0.1", port: Number(process.argv[2]), socket: { data(socket, bytes) { socket.write(bytes); } } });`,
    );
    const args = ["--compare", "--scenario", "tcp-ping", "--connections", "3", "--duration", "0.2"];
    const peers = ["--peer", "no-such-echo {tcp}", "--peer", `${process.execPath} ${echo} {tcp}`];
    const { exitCode, stdout } = await bench([...args, "--repetitions", "1", ...peers], { PATH: empty });
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^echo-server: (exact|NOT MEASURED in every cell)\.$/);
    expect(exitCode).toBe(lines[0] === "echo-server: exact." ? 0 : 1);
    const absent = lines.filter((line) => line.includes(": absent: ")).map((line) => line.split(":", 1)[0]);
    expect(absent).toEqual([
      ...["C epoll", "Go net", "tokio current", "tokio multi", "Netty epoll", "Node", "socat", "ncat"],
      "no-such-echo",
    ]);
    for (const line of lines) expect(line.startsWith("scenario ") && line.length > 100).toBe(false);
    const figures = new Map<string, string>();
    for (const [at, line] of lines.entries()) {
      if (!line.startsWith("scenario ")) continue;
      const row = lines[at + 1]!.split(/ {2,}/);
      for (const [column, head] of line.split(/ {2,}/).entries()) figures.set(head, row[column]!);
    }
    expect(figures.get("echo-server")).toMatch(/^\d/);
    expect(figures.get(basename(process.execPath))).toMatch(/^\d/);
    expect(figures.get("no-such-echo")).toBe("absent");
  });
});
