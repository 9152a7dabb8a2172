import { Host } from "../clients/network.ts";
import type { EchoServer } from "../harness.ts";

/**
 * A small network with a fault wanted at every place of it: a client, a router, and two servers behind it, IPv4 and IPv6.
 *
 *     client 10.97.3.2 --- 10.97.3.1 router 10.97.1.1 --- server1 10.97.1.2 and 10.97.1.3
 *                                           10.97.2.1 --- server2 10.97.2.2
 *
 * All of it is gone with its end; what is done to it (`faults.ts`) is undone by itself.
 */
export class Lab implements AsyncDisposable {
  /** What serves on server1 and server2: TCP 1234 and UDP 5678 on every address. */
  #echo1: EchoServer | undefined;
  #echo2: EchoServer | undefined;

  private constructor(
    readonly client: Host,
    readonly router: Host,
    readonly server1: Host,
    readonly server2: Host,
  ) {}

  get echo1(): EchoServer {
    return this.#echo1!;
  }

  get echo2(): EchoServer {
    return this.#echo2!;
  }

  static async make(): Promise<Lab> {
    const router = await Host.make();
    const [client, server1, server2] = await Promise.all([
      Host.make(router),
      Host.make(router),
      Host.make(router),
    ]);
    const lab = new Lab(client, router, server1, server2);
    try {
      await lab.#connect();
      await lab.#serve();
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    // No address waits to be found unique: an IPv6 host would not answer in its first two seconds.
    for (const host of [this.client, this.router, this.server1, this.server2]) {
      await host.configure("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    }
    await this.#attach(
      "toserver1",
      this.server1,
      1,
      [SERVER1.v4, SERVER1.otherV4],
      [SERVER1.v6, SERVER1.otherV6],
    );
    await this.#attach("toserver2", this.server2, 2, [SERVER2.v4], [SERVER2.v6]);
    await this.#attach("toclient", this.client, 3, [CLIENT.v4], [CLIENT.v6]);
    // ICMP is not rationed, so that every refusal of a test is told (a rate limit of 0 would not do: it takes the tokens
    // that news of missing routes needs as well); who does not answer ARP is given up at once.
    await this.router.configure(`
      echo 1 > /proc/sys/net/ipv4/ip_forward
      echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
      echo 0 > /proc/sys/net/ipv4/icmp_ratemask
      echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
      echo 50 > /proc/sys/net/ipv4/neigh/toserver1/retrans_time_ms
      echo 50 > /proc/sys/net/ipv6/neigh/toserver1/retrans_time_ms`);
    await this.client.configure("echo 50 > /proc/sys/net/ipv4/neigh/eth0/retrans_time_ms");
    for (const server of [this.server1, this.server2]) {
      await server.configure(`
        echo 0 > /proc/sys/net/ipv4/icmp_ratemask
        echo 0 > /proc/sys/net/ipv6/icmp/ratelimit`);
    }
  }

  /** A host behind the router, on a network of its own, with a way to everybody else. */
  async #attach(name: string, host: Host, net: number, v4: string[], v6: string[]): Promise<void> {
    await this.router.link(name, host, "eth0", {
      here: [`10.97.${net}.1/24`, `fd97:${net}::1/64`],
      there: [...v4.map((address) => `${address}/24`), ...v6.map((address) => `${address}/64`)],
      mtu: 1500,
    });
    await host.configure(`
      ip route add default via 10.97.${net}.1
      ip -6 route add default via fd97:${net}::1`);
  }

  async #serve(): Promise<void> {
    // A UDP session soon ends, or a later test's flow that has the port by chance would get no banner.
    const ports = ["--tcp-port", "1234", "--udp-idle-timeout", "500ms"];
    this.#echo1 = await this.server1.startServer([...ports, "--banner-fields", "pod,node"], {
      ECHO_POD_NAME: POD.pod,
      ECHO_NODE_NAME: POD.node,
    });
    this.#echo2 = await this.server2.startServer(ports);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#echo1, this.#echo2]) await server?.[Symbol.asyncDispose]();
    for (const host of [this.client, this.server1, this.server2, this.router]) {
      await host[Symbol.asyncDispose]();
    }
  }
}

export const CLIENT = { v4: "10.97.3.2", v6: "fd97:3::2" } as const;
/** The router, as the client sees it. */
export const ROUTER = { v4: "10.97.3.1", v6: "fd97:3::1" } as const;
export const SERVER1 = {
  v4: "10.97.1.2",
  otherV4: "10.97.1.3",
  v6: "fd97:1::2",
  otherV6: "fd97:1::3",
} as const;
export const SERVER2 = { v4: "10.97.2.2", v6: "fd97:2::2" } as const;
/** Nobody's, on server1's network. */
export const NOBODY = { v4: "10.97.1.9", v6: "fd97:1::9" } as const;
/** Nobody's, and the router has no way to it: what a rule of `service` translates. */
export const VIRTUAL = { v4: "198.51.100.7", v6: "2001:db8::7" } as const;
/** What server1 says of itself; server2 says nothing. */
export const POD = { pod: "server1-abc", node: "node1" } as const;
