import type { Host } from "../clients/network.ts";
import { until } from "../harness.ts";

/** Other servers on a host of the lab: socat's, and small ones that are wrong on purpose (`servers/`). */

export interface Serving extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  output(): string;
}

/** Starts a command that serves a port, and waits until the port is bound. */
export async function serve(
  host: Host,
  protocol: "tcp" | "udp",
  port: number,
  ...command: string[]
): Promise<Serving> {
  // It dies with the tests, however these end.
  const child = Bun.spawn(host.inside("setpriv", "--pdeathsig", "KILL", ...command), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true, // in a process group of its own: what it forks ends with it
  });
  const kill = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended, and all that it forked.
    }
  };
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const serving: Serving = {
    pid: child.pid,
    output: () => output,
    async [Symbol.asyncDispose]() {
      kill();
      await child.exited;
      await until(`port ${port} is free`, async () => !(await isBound(host, protocol, port)));
    },
  };
  try {
    await until(`${command.join(" ")} is bound to ${protocol} ${port}: ${output}`, async () => {
      if (child.exitCode !== null) throw new Error(`${command.join(" ")} ended: ${output}`);
      return isBound(host, protocol, port);
    });
  } catch (error) {
    kill();
    await collected;
    throw error;
  }
  return serving;
}

/**
 * An echo by socat, which knows nothing of banners.
 * @param listen its first address: `TCP4-LISTEN:7,fork,reuseaddr`, `UDP4-RECVFROM:7,fork`
 * @param then its second one; by default a pipe, which echoes
 */
export function socat(host: Host, listen: string, then = "PIPE"): Promise<Serving> {
  const [, protocol, port] = /^(TCP|UDP)\w*-\w+:(\d+)/.exec(listen)!;
  return serve(host, protocol === "TCP" ? "tcp" : "udp", Number(port), "socat", listen, then);
}

/** A script of `servers/` with its arguments. */
export function badServer(
  host: Host,
  protocol: "tcp" | "udp",
  port: number,
  name: string,
  ...args: string[]
): Promise<Serving> {
  const script = new URL(`./servers/${name}.ts`, import.meta.url).pathname;
  return serve(host, protocol, port, process.execPath, script, ...args);
}

/** A UDP relay with a fault (`relay.ts`), on a port of a host, to a target. */
export function relay(
  host: Host,
  fault: string,
  port: number,
  target: string,
  targetPort: number,
): Promise<Serving> {
  const script = new URL("./relay.ts", import.meta.url).pathname;
  return serve(host, "udp", port, process.execPath, script, fault, String(port), target, String(targetPort));
}

/** TCP sockets that listen are in state 10, UDP sockets that are not connected in state 7 (proc_net_tcp). */
const STATES = { tcp: "0A", udp: "07" } as const;

async function isBound(host: Host, protocol: "tcp" | "udp", port: number): Promise<boolean> {
  const sockets = await host.run("cat", `/proc/net/${protocol}`, `/proc/net/${protocol}6`);
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return sockets.split("\n").some((line) => {
    const [, local, , state] = line.trim().split(/ +/);
    return local?.endsWith(end) === true && state === STATES[protocol];
  });
}
