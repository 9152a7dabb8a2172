import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { Host, type LinkEnds, type Talk } from "./clients/network.ts";
import type { EchoServer } from "./harness.ts";

/** What is on the way between server and client: narrow links, and strangers who say that there are. */

const SIZES = [100, 1000, 1300, 1372, 1373, 1400, 1472];

const script = (name: string): string => fileURLToPath(new URL(`./clients/${name}.ts`, import.meta.url));

/** The sizes of datagrams that come back to a client on `host`. */
async function echoed(host: Host, server: string, sizes: readonly number[]): Promise<number[]> {
  return JSON.parse(
    await host.run(process.execPath, script("udp-sizes"), server, "5678", ...sizes.map(String)),
  );
}

/** Server and client with a router between them, whose link to the client is narrower. */
class Way implements AsyncDisposable {
  private constructor(
    readonly serverHost: Host,
    readonly router: Host,
    readonly clientHost: Host,
  ) {}

  static async make(): Promise<Way> {
    const router = await Host.make();
    const way = new Way(await Host.make(router), router, await Host.make(router));
    try {
      await way.#connect();
      return way;
    } catch (error) {
      await way[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    const { router } = this;
    await router.link("toserver", this.serverHost, "eth0", {
      here: ["10.98.1.1/24", "fd98:1::1/64"],
      there: ["10.98.1.2/24", "fd98:1::2/64"],
      mtu: 1500,
    });
    await router.link("toclient", this.clientHost, "eth0", {
      here: ["10.98.2.1/24", "fd98:2::1/64"],
      there: ["10.98.2.2/24", "fd98:2::2/64"],
      mtu: 1400,
    });
    await router.configure(
      "echo 1 > /proc/sys/net/ipv4/ip_forward\necho 1 > /proc/sys/net/ipv6/conf/all/forwarding",
    );
    for (const [host, net] of [
      [this.serverHost, 1],
      [this.clientHost, 2],
    ] as const) {
      await host.configure(
        `ip route add default via 10.98.${net}.1\nip -6 route add default via fd98:${net}::1`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of [this.serverHost, this.clientHost, this.router]) await host[Symbol.asyncDispose]();
  }
}

describe.if(process.platform === "linux")("the way back", () => {
  test("is not made narrower by a forged ICMP message", async () => {
    await using serverHost = await Host.make();
    await using clientHost = await Host.make(serverHost);
    const ends = { here: ["10.98.1.2/24"], there: ["10.98.1.3/24", "10.98.1.66/24"], mtu: 1500 };
    await serverHost.link("eth0", clientHost, "eth0", ends);
    await using _server: EchoServer = await serverHost.startServer(["--host", "0.0.0.0"]);
    await forge(clientHost, "10.98.1.3");
    expect(await serverHost.run("ip", "route", "get", "10.98.1.3")).not.toContain("mtu");
    expect(await echoed(clientHost, "10.98.1.2", SIZES)).toEqual(SIZES);
    expect(await counter(clientHost, "Ip: ", "ReasmReqds")).toBe(0);
  });

  test("that is narrower than it looks, and sends no ICMP, loses no echo, not even the first", async () => {
    await using way = await Way.make();
    await way.router.configure("ip rule add iif lo to 10.98.1.2 blackhole"); // its own ICMP, not what it forwards
    await using _server = await way.serverHost.startServer(["--host", "0.0.0.0"]);
    expect(await echoed(way.clientHost, "10.98.1.2", SIZES)).toEqual(SIZES);
  });

  test("over IPv6, where only the sender may cut, is as wide as the router says", async () => {
    await using way = await Way.make();
    await using _server = await way.serverHost.startServer(["--host", "::"]);
    // The first that is too long is lost to tell the server so (RFC 8201); from then on they are cut.
    expect(await echoed(way.clientHost, "fd98:1::2", [1000, 1400, 1400, 1452])).toEqual([1000, 1400, 1452]);
  });
});

// The Linux engine's alone, whatever engine the other tests run on: the portable one sends one by one.
describe.if(process.platform === "linux")("segments", () => {
  test("go to one peer, though another on another link has the same link-local address and port", async () => {
    await using serverHost = await Host.make();
    await using one = await Host.make(serverHost);
    await using other = await Host.make(serverHost);
    const ends = { here: ["fe80::2/64"], there: ["fe80::3/64"], mtu: 1500 };
    await serverHost.link("one", one, "eth0", ends);
    await serverHost.link("other", other, "eth0", ends);
    await using server = await serverHost.startServer(["--host", "::", "--engine", "linux", "--no-banner"]);
    const alike = (host: Host, letter: string): Talk => {
      const args = ["fe80::3", "40000", "eth0", "fe80::2", "5678", letter];
      return host.talk(process.execPath, script("udp-alike"), ...args);
    };
    using a = alike(one, "a");
    using b = alike(other, "b");
    server.kill("SIGSTOP"); // one batch of both
    for (const client of [a, b]) {
      client.say("send");
      await client.hears("sent");
    }
    server.kill("SIGCONT");
    for (const client of [a, b]) client.say("receive");
    await a.hears("aaaaaaaa");
    await b.hears("bbbbbbbb");
  });

  test("stop for a peer whose path is too narrow, and for no other", async () => {
    await using serverHost = await Host.make();
    await using narrow = await Host.make(serverHost);
    await using wide = await Host.make(serverHost);
    const ends = (net: number, mtu: number): LinkEnds => ({
      here: [`10.98.${net}.2/24`],
      there: [`10.98.${net}.3/24`],
      mtu,
    });
    await serverHost.link("narrow", narrow, "eth0", ends(1, 600));
    await serverHost.link("wide", wide, "eth0", ends(2, 1500));
    await using server = await serverHost.startServer(["--host", "0.0.0.0", "--engine", "linux"]);
    const burst = (host: Host, address: string): Talk =>
      host.talk(process.execPath, script("udp-burst"), address, "5678", "1000", "32");
    using narrowClient = burst(narrow, "10.98.1.2");
    using wideClient = burst(wide, "10.98.2.2");
    for (const client of [narrowClient, wideClient]) await client.hears("ready");
    expect(await sendsFor(narrowClient, server, serverHost)).toBeGreaterThanOrEqual(32);
    expect(await sendsFor(wideClient, server, serverHost)).toBeLessThan(32);
  });
});

/** How many sends it took to echo one burst of the client's, all of which the server found waiting. */
async function sendsFor(client: Talk, server: EchoServer, host: Host): Promise<number> {
  const before = await counter(host, "Udp: ", "OutDatagrams");
  server.kill("SIGSTOP");
  client.say("go");
  await client.hears("sent");
  server.kill("SIGCONT");
  await client.hears("echoed");
  return (await counter(host, "Udp: ", "OutDatagrams")) - before;
}

/** The server is told, by who is neither of the two, that datagrams to the client must not be longer than 552. */
async function forge(host: Host, client: string): Promise<void> {
  await host.run(process.execPath, script("forge-icmp"), "10.98.1.2", "5678", client, "40000", "552");
}

/** One of the kernel's own counters on that host (proc_net_snmp). */
async function counter(host: Host, protocol: string, name: string): Promise<number> {
  const lines = (await host.run("cat", "/proc/net/snmp")).split("\n");
  const [names, values] = lines.filter((line) => line.startsWith(protocol)).map((line) => line.split(" "));
  return Number(values![names!.indexOf(name)]);
}
