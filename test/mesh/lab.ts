import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MeshPair, MeshResult } from "../../src/diagnose/mesh/result.ts";
import { Host } from "../clients/network.ts";
import { type EchoServer, MAIN, Metrics, ServerProcess } from "../harness.ts";
import { MESH } from "./schema.ts";

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Members of the lab: `127.0.0.1`, `127.0.0.2`, ... */
export function member(number: number): string {
  return `127.0.0.${number}`;
}

export function members(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/**
 * A machine of its own whose loopback has all members, and whose names are what a test says: `mesh` is all of them, `s3.h`
 * the third.
 */
export class MeshLab implements AsyncDisposable {
  readonly host: Host;
  readonly #folder = mkdtempSync("/tmp/echo-mesh-");

  private constructor(host: Host) {
    this.host = host;
  }

  static async make(numbers: readonly number[]): Promise<MeshLab> {
    const lab = new MeshLab(await Host.make());
    lab.name(numbers);
    return lab;
  }

  /** From now on those are the members. */
  name(numbers: readonly number[]): void {
    const lines = numbers.flatMap((number) => [`${member(number)} mesh`, `${member(number)} s${number}.h`]);
    writeFileSync(this.#hosts, `127.0.0.1 localhost\n${lines.join("\n")}\n`);
  }

  /** An echo server on each of their addresses. */
  echo(numbers: readonly number[]): Promise<EchoServer> {
    const hosts = numbers.flatMap((number) => ["--host", member(number)]);
    const ports = ["--tcp-port=1234", "--udp-port=5678", "--admin-port=off"];
    return this.host.startServer([...ports, ...hosts]);
  }

  /** One that is answered for by another. */
  async impostor(number: number, server: number): Promise<Disposable> {
    const talk = this.host.talk(
      ...[process.execPath, script("./impostor.ts"), member(number), member(server), "1234", "5678"],
    );
    await talk.hears("up");
    return talk;
  }

  /** A member's prober that serves; it calls itself `pod-3` on `node-3`. */
  async probe(
    number: number,
    args: readonly string[] = [],
    env: Record<string, string> = {},
  ): Promise<ServerProcess> {
    const mount = `mount --bind ${this.#hosts} /etc/hosts; exec "$@"`;
    const command = this.host.inside(
      ...["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec", mount, "sh"],
      ...[process.execPath, MAIN],
    );
    const own = [
      ...["--address", member(number), "--admin-host", member(number)],
      ...["--pod-name", `pod-${number}`, "--node-name", `node-${number}`],
    ];
    const prober = new ServerProcess(["mesh", "--log-format", "json", ...own, ...args], { command, env });
    try {
      await prober.waitForLog("ready");
    } catch (error) {
      await prober[Symbol.asyncDispose]();
      throw error;
    }
    return prober;
  }

  get(number: number, path: string): Promise<string> {
    return this.host.run(process.execPath, script("./get.ts"), member(number), "8082", path);
  }

  async mesh(number: number, query = ""): Promise<MeshResult> {
    return MESH.parse(JSON.parse(await this.get(number, `/mesh.json${query}`)));
  }

  async metrics(number: number): Promise<Metrics> {
    return new Metrics(await this.get(number, "/metrics"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #hosts(): string {
    return join(this.#folder, "hosts");
  }
}

/** The states of some pairs: `pod-1 > pod-2 tcp: up`. */
export function statesOf(pairs: readonly MeshPair[]): string[] {
  const state = (up: boolean | null): string => (up === null ? "unknown" : up ? "up" : "down");
  return pairs.map(({ from, to, protocol, up }) => `${from} > ${to} ${protocol}: ${state(up)}`);
}
