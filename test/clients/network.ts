import { EchoServer, MAIN, type ProcessOptions } from "../harness.ts";

/**
 * Hosts of a network that exists only for a test: each is a network namespace, held by a process that waits for the test's end; the
 * links between them are veth pairs. Needs root, or user namespaces. All is gone when the holders are.
 */
export class Host implements AsyncDisposable {
  readonly #holder: Bun.Subprocess<"pipe", "pipe", "ignore">;

  private constructor(holder: Bun.Subprocess<"pipe", "pipe", "ignore">) {
    this.#holder = holder;
  }

  /** A host with nothing but a loopback. `peer`: another one of the same test, to be linked with. */
  static async make(peer?: Host): Promise<Host> {
    const own = ROOT ? ["unshare", "--net"] : ["unshare", "--net", "--map-root-user"];
    const command = peer === undefined || ROOT ? own : peer.inside("unshare", "--net");
    const script = "ip link set lo up && echo up && exec cat";
    const holder = Bun.spawn([...command, "sh", "-c", script], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    const host = new Host(holder);
    const reader = holder.stdout.getReader();
    const { done } = await reader.read();
    reader.releaseLock();
    if (done) throw new Error("no network namespace: root or user namespaces are needed");
    return host;
  }

  /** The command that runs a command on this host; the process keeps its id. */
  inside(...command: string[]): string[] {
    const user = ROOT ? [] : ["--user", "--preserve-credentials"];
    return ["nsenter", "--target", String(this.#holder.pid), "--net", ...user, ...command];
  }

  /** Runs a command on this host; returns what it prints. @throws what it says when it fails */
  async run(...command: string[]): Promise<string> {
    const child = Bun.spawn(this.inside(...command), { stdout: "pipe", stderr: "pipe" });
    const [output, errors, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${errors}`);
    return output;
  }

  /** Starts a command on this host, to be talked to by lines. */
  talk(...command: string[]): Talk {
    return new Talk(this.inside(...command));
  }

  /** Runs commands, one a line. */
  async configure(script: string): Promise<void> {
    await this.run("sh", "-ec", script);
  }

  /** A link to another host: `name` here, `otherName` there, both up, each with its addresses and MTU. */
  async link(name: string, other: Host, otherName: string, ends: LinkEnds): Promise<void> {
    const target = String(other.#holder.pid);
    await this.run("ip", "link", "add", name, "type", "veth", "peer", "name", otherName, "netns", target);
    await this.#raise(name, ends.here, ends.mtu);
    await other.#raise(otherName, ends.there, ends.mtu);
  }

  async #raise(name: string, addresses: readonly string[], mtu: number): Promise<void> {
    const add = addresses.map((address) => {
      const nodad = address.includes(":") ? "nodad" : "";
      return `ip address add ${address} dev ${name} ${nodad}`;
    });
    await this.configure([`ip link set ${name} mtu ${mtu} up`, ...add].join("\n"));
  }

  /**
   * A server on this host that is ready: UDP 5678 and no TCP, unless `args` name ports. Its admin port is not reachable
   * from the test.
   */
  async startServer(args: readonly string[], env: ProcessOptions["env"] = {}): Promise<EchoServer> {
    const engine = process.env["ECHO_TEST_ENGINE"];
    const workers = process.env["ECHO_TEST_WORKERS"];
    const defaults = ["--tcp-port=off", "--udp-port=5678", "--admin-port=8080", "--log-format=json"];
    const ports = defaults.filter((port) => !args.includes(port.split("=")[0]!));
    const chosen = [
      ...(engine === undefined ? [] : ["--engine", engine]),
      ...(workers === undefined ? [] : ["--workers", workers]),
    ];
    // It dies with the test, however that ends.
    const command = this.inside("setpriv", "--pdeathsig", "KILL", process.execPath, MAIN);
    const server = new EchoServer(["serve", ...ports, ...chosen, ...args], { command, env });
    try {
      await server.ready();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill("SIGKILL");
    await this.#holder.exited;
  }
}

/** A process that is told a line, and answers by lines. */
export class Talk implements Disposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncGenerator<string>;

  constructor(command: string[]) {
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = linesOf(this.#child.stdout);
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
    this.#child.stdin.flush();
  }

  /** Waits for its next line. @throws when it is another */
  async hears(wanted: string): Promise<void> {
    const { value } = await this.#lines.next();
    if (value !== wanted) throw new Error(`it said ${value}, not ${wanted}`);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let partial = "";
  for await (const chunk of stream) {
    const lines = (partial + decoder.decode(chunk, { stream: true })).split("\n");
    partial = lines.pop()!;
    yield* lines;
  }
}

const ROOT = process.getuid?.() === 0;

export interface LinkEnds {
  /** `10.0.0.1/24`, `fd00::1/64`. */
  readonly here: readonly string[];
  readonly there: readonly string[];
  readonly mtu: number;
}
