import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { Drawn } from "../bench/print/report.ts";
import { faultyTcp } from "./bench-faulty-echo.ts";

const MAIN = fileURLToPath(new URL("../bench/main.ts", import.meta.url));
const LINUX = process.platform === "linux";

const folder = mkdtempSync(`${tmpdir()}/echo-bench-`);
afterAll(() => rmSync(folder, { recursive: true }));

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return Bun.spawn([process.execPath, MAIN, ...args], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function finish(child: ReturnType<typeof start>) {
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

describe("a wrong command line ends with 2 and one line", () => {
  const wrong: [string, string[]][] = [
    ["--frobnicate", ["--frobnicate"]],
    ["tcp-pong", ["--scenario", "tcp-pong"]],
    ["--connections 0", ["--connections", "0"]],
    ["--size 70000", ["--size", "70000"]],
    ["--duration soon", ["--duration", "soon"]],
    ["--rate -1", ["--rate=-1"]],
    ["--target nowhere", ["--target", "nowhere"]],
    ["--peer", ["--peer", "my-echo {tcp}"]],
    ["{tcp}", ["--compare", "--peer", "my-echo"]],
    ["--target and --compare", ["--compare", "--target", "127.0.0.1:7"]],
    ["extra", ["extra"]],
  ];
  for (const [part, args] of wrong) {
    test(args.join(" "), async () => {
      const { exitCode, stdout, stderr } = await finish(start(args));
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
    const { exitCode, stderr } = await finish(start(args));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^bench: [^\n]+\n$/);
  });
});

test("--help names every scenario and shows examples", async () => {
  const { exitCode, stdout } = await finish(start(["--help"]));
  expect(exitCode).toBe(0);
  for (const part of ["Examples:", "tcp-churn", "udp-window", "scale", "--rate", "--html"]) {
    expect(stdout).toContain(part);
  }
});

describe.if(LINUX)("the table", () => {
  test("has the faults among its columns", async () => {
    const { exitCode, stdout } = await finish(
      start(["--scenario", "tcp-ping", "--connections", "3", "--duration", "0.2"]),
    );
    expect(exitCode).toBe(0);
    const [heads] = stdout.split("\n");
    for (const head of [
      "p50",
      "p99.9",
      "max",
      "errors",
      "lost",
      "dupl.",
      "reord.",
      "corrupt",
      "server CPU",
    ]) {
      expect(heads).toContain(head);
    }
    expect(stdout).toMatch(/\ntcp-ping +64 B, 3 conns /);
  });

  test("comes after Ctrl-C too, with what there is", async () => {
    using server = faultyTcp("none");
    const enough = Promise.withResolvers<void>();
    const since = performance.now();
    server.onMessage = () => {
      if (performance.now() - since > 1500) enough.resolve(); // warm-up is over
    };
    const args = ["--target", `127.0.0.1:${server.port}`, "--scenario", "tcp-ping,tcp-pipeline"];
    const child = start([...args, "--connections", "3", "--duration", "600"]);
    await enough.promise;
    child.kill("SIGINT");
    const { stdout } = await finish(child);
    expect(stdout).toMatch(/\ntcp-ping +64 B, 3 conns +\d/);
    expect(stdout).not.toContain("\ntcp-pipeline");
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
    const { exitCode, stdout } = await finish(start([...args, "--html", file]));
    expect(exitCode).toBe(0);
    expect(stdout).toContain("tcp-ping");
    const html = await Bun.file(file).text();
    const seen = { scripts: 0, loads: 0, cells: 0, charts: new Set<string>() };
    const data: string[] = [];
    new HTMLRewriter()
      .on("script", { element: () => void seen.scripts++ })
      .on("[src], link, img, iframe", { element: () => void seen.loads++ })
      .on("td", { element: () => void seen.cells++ })
      .on("div[id]", { element: (div) => void seen.charts.add(div.getAttribute("id") ?? "") })
      .on("script#data", { text: (chunk) => void data.push(chunk.text) })
      .transform(html);
    expect({ scripts: seen.scripts, loads: seen.loads }).toEqual({ scripts: 3, loads: 0 });
    expect([...seen.charts]).toEqual(["latency", "throughput", "cpu", "rss"]);
    expect(seen.cells).toBeGreaterThan(20);
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
});

describe.if(LINUX)("--compare", () => {
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
    const { exitCode, stdout } = await finish(
      start([...args, "--repetitions", "1", ...peers], { PATH: empty }),
    );
    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    const absent = lines.filter((line) => line.includes(": absent: ")).map((line) => line.split(":", 1)[0]);
    expect(absent).toEqual([
      ...["C epoll", "Go net", "tokio current", "tokio multi", "Netty epoll", "Node", "socat", "ncat"],
      "no-such-echo",
    ]);
    const heads = lines.find((line) => line.startsWith("scenario "))!.split(/ {2,}/);
    const row = lines.find((line) => line.startsWith("tcp-ping "))!.split(/ {2,}/);
    expect(heads).toContain("echo-server");
    expect(row[heads.indexOf("echo-server")]).toMatch(/^\d/);
    expect(row[heads.indexOf(basename(process.execPath))]).toMatch(/^\d/);
    expect(row[heads.indexOf("no-such-echo")]).toBe("absent");
  });
});
