import { run } from "./shell.ts";

/** The link of a node, on this machine: the bridge's port behind which its address is. Up again at the end. */
export class NodeLink implements AsyncDisposable {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  static async of(address: string): Promise<NodeLink> {
    const neighbour = (await run(["ip", "neighbour", "show", "to", address])).stdout;
    const mac = / lladdr (\S+)/.exec(neighbour)?.[1];
    const ports = (await run(["bridge", "fdb", "show"])).stdout;
    const name = mac === undefined ? undefined : new RegExp(`^${mac} dev (\\S+) `, "m").exec(ports)?.[1];
    if (name === undefined) throw new Error(`this machine has no bridge with ${address} behind it`);
    return new NodeLink(name);
  }

  async down(): Promise<void> {
    await run(["ip", "link", "set", this.#name, "down"]);
  }

  async up(): Promise<void> {
    await run(["ip", "link", "set", this.#name, "up"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.up();
  }
}
