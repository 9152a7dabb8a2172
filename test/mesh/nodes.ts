import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MeshResult } from "../../src/diagnose/mesh/result.ts";
import { Host } from "../clients/network.ts";
import { type EchoServer, MAIN, Metrics, ServerProcess } from "../harness.ts";
import { MESH } from "./schema.ts";

const GET = fileURLToPath(new URL("./get.ts", import.meta.url));

/** A member of the mesh on a machine of its own. */
interface Node {
  readonly host: Host;
  readonly address: string;
  readonly hosts: string;
}

/** Machines of a network that exists only for a test, `10.9.0.1`, `10.9.0.2`, ..., each by a link to one switch. */
export class MeshNodes implements AsyncDisposable {
  readonly #switch: Host;
  readonly #nodes: Node[] = [];
  readonly #folder = mkdtempSync("/tmp/echo-mesh-");

  private constructor(hub: Host) {
    this.#switch = hub;
  }

  static async make(count: number): Promise<MeshNodes> {
    const nodes = new MeshNodes(await Host.make());
    await nodes.#switch.configure("ip link add bridge type bridge\nip link set bridge up");
    for (let number = 1; number <= count; number++) await nodes.#add(number);
    nodes.name(nodes.#nodes.map(({ address }) => address));
    return nodes;
  }

  /** From now on `mesh` has these addresses, for the prober of that node, or for all. */
  name(addresses: readonly string[], only?: number): void {
    const lines = addresses.map((address) => `${address} mesh\n`).join("");
    for (const [index, { hosts }] of this.#nodes.entries()) {
      if (only === undefined || only === index + 1) writeFileSync(hosts, `127.0.0.1 localhost\n${lines}`);
    }
  }

  host(number: number): Host {
    return this.#nodes[number - 1]!.host;
  }

  /** The node's link at the switch. @param state `up` or `down` */
  async link(number: number, state: "up" | "down"): Promise<void> {
    await this.#switch.run("ip", "link", "set", `port${number}`, state);
  }

  echo(number: number, args: readonly string[] = []): Promise<EchoServer> {
    return this.host(number).startServer([
      ...["--tcp-port=1234", "--udp-port=5678", "--admin-port=off", ...args],
    ]);
  }

  async probe(number: number, args: readonly string[] = []): Promise<ServerProcess> {
    const { host, address, hosts } = this.#nodes[number - 1]!;
    const mount = `mount --bind ${hosts} /etc/hosts; exec "$@"`;
    const command = host.inside(
      ...["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec", mount, "sh"],
      ...[process.execPath, MAIN],
    );
    const names = ["--address", address, "--pod-name", `pod-${number}`, "--node-name", `node-${number}`];
    const prober = new ServerProcess(["mesh", "--log-format", "json", ...names, ...args], { command });
    try {
      await prober.waitForLog("ready");
    } catch (error) {
      await prober[Symbol.asyncDispose]();
      throw error;
    }
    return prober;
  }

  get(number: number, path: string): Promise<string> {
    return this.host(number).run(process.execPath, GET, "127.0.0.1", "8082", path);
  }

  async mesh(number: number, query = ""): Promise<MeshResult> {
    return MESH.parse(JSON.parse(await this.get(number, `/mesh.json${query}`)));
  }

  async metrics(number: number): Promise<Metrics> {
    return new Metrics(await this.get(number, "/metrics"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { host } of this.#nodes) await host[Symbol.asyncDispose]();
    await this.#switch[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #add(number: number): Promise<void> {
    const hub = this.#switch;
    const host = await Host.make(hub);
    const address = `10.9.0.${number}`;
    this.#nodes.push({ host, address, hosts: join(this.#folder, `hosts${number}`) });
    await hub.link(`port${number}`, host, "eth0", { here: [], there: [`${address}/24`], mtu: 1500 });
    await hub.run("ip", "link", "set", `port${number}`, "master", "bridge");
  }
}
