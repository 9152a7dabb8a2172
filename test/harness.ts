import { fileURLToPath } from "node:url";
import { type Endpoint, formatEndpoint, hostOf, parseEndpoint } from "../src/net/endpoint.ts";

/**
 * Starts the real server as its own process and offers what a test asks of it. `ECHO_TEST_ENGINE` and
 * `ECHO_TEST_WORKERS` run any test that uses it against another engine or more loops.
 *
 *     await using server = await startServer(["--tcp-idle-timeout", "1s"]);
 *     const socket = await Bun.connect({ hostname: "127.0.0.1", port: server.tcpPort, socket: ... });
 */

/** The program. */
export const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

/** How long a started process may take to be ready, and a condition to come true, before the test is failed. */
const PATIENCE_MS = 20_000;

export interface ProcessOptions {
  /** Added to an environment that has no `ECHO_*` of its own; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Limit of open files, soft and hard. */
  readonly openFiles?: number;
  /** What is run in place of `src/main.ts`: a compiled binary, say. */
  readonly command?: readonly string[];
}

/** A line of the server's log. */
export interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Samples of a Prometheus scrape, looked up by name and labels in any order. */
export class Metrics {
  readonly samples = new Map<string, number>();

  constructor(readonly text: string) {
    for (const line of text.split("\n")) {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match === null) continue;
      const labels = [...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
      const named = Object.fromEntries(labels.map(([, name, value]) => [name!, value!]));
      this.samples.set(Metrics.#key(match[1]!, named), Number(match[3]));
    }
  }

  /** @throws when there is no such sample, so that a misspelt name cannot pass as 0 */
  get(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const value = this.samples.get(Metrics.#key(name, labels));
    if (value === undefined) throw new Error(`no sample ${Metrics.#key(name, labels)} in:\n${this.text}`);
    return value;
  }

  static #key(name: string, labels: Readonly<Record<string, string>>): string {
    const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    return `${name}{${sorted.map(([label, value]) => `${label}="${value}"`).join(",")}}`;
  }
}

/** A process of the server's, ready or not; `await using` kills what is left of it. */
export class ServerProcess implements AsyncDisposable {
  /** Every line that is JSON, on stdout or stderr, as it comes. */
  readonly log: LogLine[] = [];
  stdout = "";
  stderr = "";
  readonly exited: Promise<number>;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #drained: Promise<unknown>;
  #listeners: (() => void)[] = [];
  #over = false;

  constructor(args: readonly string[], options: ProcessOptions = {}) {
    const command = [...(options.command ?? [process.execPath, MAIN]), ...args];
    const limited = ["sh", "-c", `ulimit -n ${options.openFiles} && exec "$@"`, "sh", ...command];
    this.#child = Bun.spawn(options.openFiles === undefined ? command : limited, {
      env: cleanEnvironment(options.env),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#drained = Promise.all([this.#collect("stdout"), this.#collect("stderr")]);
    this.exited = this.#end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first log line, past or to come, that the predicate takes. */
  async waitForLog(wanted: string | ((line: LogLine) => boolean)): Promise<LogLine> {
    const fits = typeof wanted === "string" ? (line: LogLine) => line.msg === wanted : wanted;
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const found = this.log.find(fits);
      if (found !== undefined) return found;
      if (this.#over || Date.now() >= deadline) {
        const why = this.#over ? `the process ended (${this.#child.exitCode})` : "it did not come in time";
        throw new Error(`no log line ${wanted}: ${why}\n${this.stdout}\n${this.stderr}`);
      }
      await this.#change(deadline);
    }
  }

  /** Sends the signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Finished> {
    this.kill(signal);
    const exitCode = await this.exited;
    return { exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  async #end(): Promise<number> {
    const exitCode = await this.#child.exited;
    await this.#drained;
    this.#over = true;
    this.#notify();
    return exitCode;
  }

  async #collect(name: "stdout" | "stderr"): Promise<void> {
    const decoder = new TextDecoder();
    let partial = "";
    for await (const chunk of this.#child[name]) {
      const text = decoder.decode(chunk, { stream: true });
      this[name] += text;
      const lines = (partial + text).split("\n");
      partial = lines.pop()!;
      for (const line of lines) this.#take(line);
      this.#notify();
    }
  }

  #take(line: string): void {
    if (!line.startsWith("{")) return;
    try {
      this.log.push(JSON.parse(line));
    } catch {
      // Not a log line: it stays readable in stdout or stderr.
    }
  }

  #notify(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  #change(deadline: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.max(0, deadline - Date.now()));
    this.#listeners.push(() => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }
}

/** A server that is ready: its addresses, as the ready line names them. */
export class EchoServer extends ServerProcess {
  tcp: readonly string[] = [];
  udp: readonly string[] = [];
  admin: readonly string[] = [];
  engine = "";

  /** The first TCP listener's port. */
  get tcpPort(): number {
    return endpointIn(this.tcp).port;
  }

  get udpPort(): number {
    return endpointIn(this.udp).port;
  }

  get adminPort(): number {
    return endpointIn(this.admin).port;
  }

  /** `http://ip:port`, of a wildcard listener by 127.0.0.1. */
  get adminUrl(): string {
    const endpoint = endpointIn(this.admin);
    const isWildcard = ["::", "0.0.0.0"].includes(hostOf(endpoint));
    return `http://${isWildcard ? `127.0.0.1:${endpoint.port}` : formatEndpoint(endpoint)}`;
  }

  async ready(): Promise<void> {
    const { tcp, udp, admin, engine } = await this.waitForLog("ready");
    this.tcp = tcp as string[];
    this.udp = udp as string[];
    this.admin = admin as string[];
    this.engine = engine as string;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`${this.adminUrl}${path}`, init ?? {});
  }

  async metrics(): Promise<Metrics> {
    const response = await this.fetch("/metrics");
    if (response.status !== 200) throw new Error(`/metrics answered ${response.status}`);
    return new Metrics(await response.text());
  }

  /** Resident memory, in bytes, of the process and not of a shell around it (Linux). */
  async residentBytes(): Promise<number> {
    const status = await Bun.file(`/proc/${this.pid}/status`).text();
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  }
}

/**
 * Starts a server and waits until it is ready. Each port is 0 (any free one) unless `args` names it.
 * @throws when it does not become ready, with all that it wrote
 */
export async function startServer(
  args: readonly string[] = [],
  options: ProcessOptions = {},
): Promise<EchoServer> {
  const given = (flag: string): boolean =>
    args.some((arg) => arg === flag || arg.startsWith(`${flag}=`)) ||
    options.env?.[`ECHO_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`] !== undefined;
  const { ECHO_TEST_ENGINE, ECHO_TEST_WORKERS } = process.env;
  const defaults: [string, string | undefined][] = [
    ["--tcp-port", "0"],
    ["--udp-port", "0"],
    ["--admin-port", "0"],
    ["--log-format", "json"],
    ["--engine", ECHO_TEST_ENGINE],
    ["--workers", ECHO_TEST_WORKERS],
  ];
  const added = defaults.flatMap(([flag, value]) =>
    value === undefined || given(flag) ? [] : [flag, value],
  );
  const server = new EchoServer(["serve", ...added, ...args], options);
  try {
    await server.ready();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

/** Runs the program to its end. */
export async function run(args: readonly string[], options: ProcessOptions = {}): Promise<Finished> {
  await using child = new ServerProcess(args, options);
  const exitCode = await child.exited;
  return { exitCode, stdout: child.stdout, stderr: child.stderr };
}

/** Asks again until the condition holds. @throws with `what` when it does not come true */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() >= deadline) throw new Error(`not in ${PATIENCE_MS} ms: ${what}`);
    await Bun.sleep(5);
  }
}

/** This process's environment without its `ECHO_*`, and what is added. */
export function cleanEnvironment(added: ProcessOptions["env"] = {}): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...process.env, ...added })) {
    const inherited = name.startsWith("ECHO_") && !(name in added);
    if (value !== undefined && !inherited) clean[name] = value;
  }
  return clean;
}

/** The first listener. @throws where there is none */
function endpointIn([address]: readonly string[]): Endpoint {
  const endpoint = address === undefined ? null : parseEndpoint(address);
  if (endpoint === null) throw new Error(`no such listener: ${address}`);
  return endpoint;
}
