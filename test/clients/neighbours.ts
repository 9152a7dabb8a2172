import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../harness.ts";

/** HAProxy and nginx as processes of the test's own, in front of a server. */

/** One address that a neighbour listens on, and what it does with those who come. */
export interface Front {
  readonly host: string;
  readonly port: number;
  /** Lines of configuration: of a `listen` section (HAProxy) or a `server` block (nginx). */
  readonly lines: readonly string[];
}

/** A process with a folder of its own; both are gone when it is disposed of. */
export class Neighbour implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #errors: Promise<string>;

  private constructor(
    command: readonly string[],
    readonly folder: string,
  ) {
    this.#child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    this.#errors = this.#child.stderr.text();
  }

  /** Starts HAProxy, and waits until it listens. Its statistics are at `stats` in `folder`. */
  static async haproxy(fronts: readonly Front[], folder?: string): Promise<Neighbour> {
    const own = folder ?? (await neighbourFolder());
    const sections = fronts.map(({ host, port, lines }, at) =>
      [`listen front${at}`, ...(host === "" ? [] : [`bind ${host}:${port}`]), ...lines].join("\n  "),
    );
    const config = `
global
  stats socket ${own}/stats mode 600 level admin
  maxconn 200
  nbthread 1
defaults
  mode tcp
  timeout connect 20s
  timeout check 20s
  timeout client 60s
  timeout server 60s
${sections.join("\n")}
`;
    await Bun.write(join(own, "haproxy.cfg"), config);
    const neighbour = new Neighbour(["haproxy", "-db", "-f", join(own, "haproxy.cfg")], own);
    // It answers there once all its addresses are bound.
    return await neighbour.#ready("HAProxy", async () => (await haproxyServers(own)).length > 0);
  }

  /** Starts nginx with its stream module, and waits until it listens. */
  static async nginx(fronts: readonly Front[]): Promise<Neighbour> {
    const own = await neighbourFolder();
    const module = "/usr/lib/nginx/modules/ngx_stream_module.so"; // elsewhere it is built in
    const blocks = fronts.map(
      ({ host, port, lines: [how = "", ...rest] }) =>
        `server { listen ${host}:${port} ${how}; ${rest.join(" ")} }`,
    );
    const config = `
${(await Bun.file(module).exists()) ? `load_module ${module};` : ""}
daemon off;
master_process off;
pid ${own}/pid;
lock_file ${own}/lock;
error_log stderr error;
events { worker_connections 512; }
stream {
  server { listen unix:${own}/ready; return ready; }
  ${blocks.join("\n  ")}
}
`;
    await Bun.write(join(own, "nginx.conf"), config);
    const command = ["nginx", "-e", "stderr", "-p", own, "-c", join(own, "nginx.conf")];
    const neighbour = new Neighbour(command, own);
    return await neighbour.#ready("nginx", async () => (await ask(join(own, "ready"), "")) === "ready");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await rm(this.folder, { recursive: true });
  }

  async #ready(name: string, answers: () => Promise<boolean>): Promise<this> {
    try {
      await until(`${name} listens`, async () => {
        if (this.#child.exitCode !== null) throw new Error(`${name} ended: ${await this.#errors}`);
        return await answers().catch(() => false); // there is no such socket yet
      });
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
    return this;
  }
}

/** A folder that a neighbour may be given, to lay something into beforehand. */
export async function neighbourFolder(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "echo-neighbour-"));
}

/** What HAProxy thinks of a server of its own. */
export interface SeenServer {
  /** `UP`, `DOWN`, `no check`. */
  readonly status: string;
  /** `L4OK`, `L7OK`, `L7STS`...; empty before the first. */
  readonly check: string;
  /** Checks that failed. */
  readonly failed: number;
}

/** All servers of all sections, in order, as HAProxy's statistics have them. */
export async function haproxyServers(folder: string): Promise<SeenServer[]> {
  const text = await ask(join(folder, "stats"), "show stat\n");
  const [head = "", ...rows] = text.trim().split("\n");
  const names = head.replace(/^# /, "").split(",");
  return rows
    .map((row) => {
      const cells = row.split(",");
      return (name: string): string => cells[names.indexOf(name)] ?? "";
    })
    .filter((cell) => cell("type") === "2") // a server; 0 and 1 are the front and the back as a whole
    .map((cell) => ({
      status: cell("status"),
      check: cell("check_status").replace("* ", ""), // where one is running: the last one's
      failed: Number(cell("chkfail")),
    }));
}

/** Sends a line to a Unix socket and gives all that comes until its end. @throws when nobody listens */
async function ask(path: string, line: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  await Bun.connect({
    unix: path,
    socket: {
      open: (socket) => void socket.write(line),
      data: (_socket, chunk) => {
        text += chunk.toString();
      },
      close: () => resolve(text),
      error: (_socket, error) => reject(error),
    },
  });
  return await promise;
}

/** A port of that address which was free a moment ago. */
export function freePort(host: string): number {
  const listener = Bun.listen({ hostname: host, port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
