import { expect, test } from "bun:test";
import { untilMetric } from "./clients/metrics.ts";
import { TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

/** Keepalive: peers that have vanished without a word are let go, also where sessions may be idle for ever. */

async function run(...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, errors, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${errors}`);
  return out;
}

/** The timer that the kernel runs for the server's end of a client's session, by ss(8). */
async function timerOf(server: EchoServer, client: TcpClient): Promise<string> {
  const sockets = await run("ss", "-tnoH", "state", "established", "sport", "=", `:${server.tcpPort}`);
  const line = sockets
    .split("\n")
    .find((text) => text.includes(`:${client.port} `) || text.endsWith(`:${client.port}`));
  if (line === undefined) throw new Error(`no session of :${client.port} in:\n${sockets}`);
  return /timer:\((.*)\)/.exec(line)?.[1] ?? "none";
}

test("every session has keep-alive: after a minute by default, after the time asked for, or not at all", async () => {
  for (const [given, expected] of [
    [[], /^keepalive,(59sec|1min)/],
    [["--tcp-keepalive", "20m"], /^keepalive,(19|20)min/],
    [["--tcp-keepalive", "off"], /^none$/],
  ] as const) {
    await using server = await startServer([...given]);
    using client = await TcpClient.connect(server.tcpPort);
    expect(await client.echoes("here")).toBe(true);
    // The echo is acknowledged a moment later; until then another timer runs.
    await until("the session is quiet", async () => !(await timerOf(server, client)).startsWith("on"));
    expect(await timerOf(server, client)).toMatch(expected);
  }
});

/** A network of this test's own, so that what another has left cannot be in its way. */
const NETWORK = `10.77.${process.pid % 256}`;

/** Another host, a network namespace, whose link to this one can be cut. */
class OtherHost implements AsyncDisposable {
  readonly #name = `echo-keepalive-${process.pid}`;
  readonly #link = `ek${process.pid}`;
  readonly #children: Bun.Subprocess[] = [];

  static async start(): Promise<OtherHost> {
    const host = new OtherHost();
    await run("ip", "netns", "add", host.#name);
    const peer = `${host.#link}p`;
    await run("ip", "link", "add", host.#link, "type", "veth", "peer", "name", peer, "netns", host.#name);
    await run("ip", "address", "add", `${NETWORK}.1/30`, "dev", host.#link);
    await run("ip", "link", "set", host.#link, "up");
    await run("ip", "-n", host.#name, "address", "add", `${NETWORK}.2/30`, "dev", peer);
    await run("ip", "-n", host.#name, "link", "set", peer, "up");
    return host;
  }

  /** Connects from there and keeps the connection. */
  connect(port: number): void {
    const script = `await Bun.connect({ hostname: "${NETWORK}.1", port: ${port}, socket: { data() {} } })`;
    const command = ["ip", "netns", "exec", this.#name, process.execPath, "-e", script];
    this.#children.push(Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" }));
  }

  async vanish(): Promise<void> {
    await run("ip", "-n", this.#name, "link", "set", `${this.#link}p`, "down");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map(({ exited }) => exited));
    await run("ip", "link", "delete", this.#link); // at once: the namespace goes when nobody looks
    await run("ip", "netns", "delete", this.#name);
  }
}

test("a peer that vanishes is closed in time, one that is only silent is not", async () => {
  await using server = await startServer(["--tcp-idle-timeout", "off", "--tcp-keepalive", "1s"]);
  await using other = await OtherHost.start();
  using silent = await TcpClient.connect(server.tcpPort);
  await silent.greeted();
  other.connect(server.tcpPort);
  await untilMetric(server, "echo_sessions_opened_total", { protocol: "tcp" }, 2);
  await other.vanish();
  await untilMetric(server, "echo_closed_total", { protocol: "tcp", reason: "reset" }, 1);
  expect(await silent.echoes("still here")).toBe(true);
});
