import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { Host } from "../clients/network.ts";
import { requireTools } from "../clients/tools.ts";
import { type EchoServer, until } from "../harness.ts";
import type { Ask, Came } from "./linux-ask.ts";

/**
 * What sockets by system calls tell of a network: a client, a router, and a server behind it. The router's link to the
 * server is of 1,500 bytes; its routes to some of the server's addresses and back to some of the client's are narrower.
 */

await requireTools();

const ASK = fileURLToPath(new URL("./linux-ask.ts", import.meta.url));

const stack = new AsyncDisposableStack();
let client: Host;
let router: Host;
let server: EchoServer;

beforeAll(async () => {
  client = stack.use(await Host.make());
  router = stack.use(await Host.make(client));
  const far = stack.use(await Host.make(client));
  await client.link("eth0", router, "client", {
    here: ["10.1.0.2/24", "10.1.0.3/24", "fd01::2/64", "fd01::3/64"],
    there: ["10.1.0.1/24", "fd01::1/64", "fe80::1/64"],
    mtu: 1500,
  });
  await router.link("server", far, "eth0", {
    here: ["10.2.0.1/24", "fd02::1/64"],
    there: ["10.2.0.2/24", "10.2.0.3/24", "fd02::2/64", "fd02::3/64"],
    mtu: 1500,
  });
  await router.configure(`
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
    echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
    echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
    ip route add 10.2.0.3/32 dev server mtu 1400
    ip -6 route add fd02::3/128 dev server mtu 1400
    ip route add 10.1.0.3/32 dev client mtu 1400
    ip -6 route add fd01::3/128 dev client mtu 1400
    ip route add unreachable 198.51.100.0/25
    ip route add prohibit 198.51.100.128/25
    ip -6 route add unreachable 2001:db8:1::/64
    ip -6 route add prohibit 2001:db8:2::/64`);
  await client.configure(
    "ip route add default via 10.1.0.1\nip -6 route add default via fd01::1 src fd01::2",
  );
  await far.configure("ip route add default via 10.2.0.1\nip -6 route add default via fd02::1");
  server = stack.use(await far.startServer(["--no-banner", "--tcp-port", "1234"]));
});

afterAll(() => stack.disposeAsync());

/** What came of each question. */
async function ask(...asks: Ask[]): Promise<Came[][]> {
  const args = asks.map((each) => JSON.stringify(each));
  return JSON.parse(await client.run(process.execPath, ASK, ...args));
}

describe("a datagram that came through a router", () => {
  test("has its TTL, the address it came to and its sender", async () => {
    expect(server.pid).toBeGreaterThan(0);
    const [v4, v6] = await ask({ udp: "10.2.0.2:5678" }, { udp: "[fd02::2]:5678" });
    expect(v4).toEqual([{ bytes: 64, from: "10.2.0.2:5678", to: "10.1.0.2", ttl: 63, fragmentBytes: 0 }]);
    expect(v6).toEqual([{ bytes: 64, from: "[fd02::2]:5678", to: "fd01::2", ttl: 63, fragmentBytes: 0 }]);
  });

  test("has the size of its largest fragment, and 0 where it came whole", async () => {
    const sizes = [1400, 1472, 1473, 3000, 65_507];
    const [v4, v6] = await ask(
      { udp: "10.2.0.2:5678", sizes },
      { udp: "[fd02::2]:5678", sizes: [1452, 1453] },
    );
    expect(v4!.map(({ bytes, fragmentBytes }) => [bytes, fragmentBytes])).toEqual([
      [1400, 0],
      [1472, 0],
      [1473, 1500],
      [3000, 1500],
      [65_507, 1500],
    ]);
    expect(v6!.map(({ bytes, fragmentBytes }) => [bytes, fragmentBytes])).toEqual([
      [1452, 0],
      [1453, 1496],
    ]);
  });

  test("came in the fragments of a narrow way back", async () => {
    await client.configure("ip route replace 10.2.0.2/32 via 10.1.0.1 src 10.1.0.3");
    const [came] = await ask({ udp: "10.2.0.2:5678", sizes: [1372, 1373, 1472] });
    await client.configure("ip route del 10.2.0.2/32");
    expect(came!.map(({ bytes, to, fragmentBytes }) => [bytes, to, fragmentBytes])).toEqual([
      [1372, "10.1.0.3", 0],
      [1373, "10.1.0.3", 1396],
      [1472, "10.1.0.3", 1396],
    ]);
  });
});

describe("an ICMP is told with who sent it, of TCP and UDP:", () => {
  const unreachable: [string, string, string][] = [
    ["a router that has no way", "198.51.100.7", "10.1.0.1"],
    ["a router that prohibits", "198.51.100.200", "10.1.0.1"],
    ["a router that has no way of IPv6", "[2001:db8:1::7]", "fd01::1"],
    ["a router that prohibits IPv6", "[2001:db8:2::7]", "fd01::1"],
  ];
  for (const [what, host, by] of unreachable) {
    test(what, async () => {
      const end = `${host}:7`;
      const said = await ask({ udp: end }, { udp: end, connected: true }, { tcp: end });
      const told = { code: "unreachable", by, to: end, mtu: null };
      expect(said).toEqual([[told], [told], [told]]);
    });
  }

  test("a host where nobody listens", async () => {
    const said = await ask({ udp: "10.2.0.2:9" }, { udp: "[fd02::2]:9" }, { tcp: "10.2.0.2:9" });
    expect(said).toEqual([
      [{ code: "refused", by: "10.2.0.2", to: "10.2.0.2:9", mtu: null }],
      [{ code: "refused", by: "fd02::2", to: "[fd02::2]:9", mtu: null }],
      [{ code: "refused", by: null, to: null, mtu: null }], // a reset says nothing of who sent it
    ]);
  });

  test("a router with a link too narrow for a datagram that may not be cut", async () => {
    const [v4, v6] = await ask(
      { udp: "10.2.0.3:5678", dontFragment: true, sizes: [1372, 1473, 1373, 1472, 1373] },
      { udp: "[fd02::3]:5678", dontFragment: true, sizes: [1352, 1453, 1353, 1452, 1353] },
    );
    const narrow = { code: "too_big", by: "10.1.0.1", to: "10.2.0.3:5678", mtu: 1400 };
    const here = { code: "too_big", by: null, to: null, mtu: null, sent: 0 };
    expect(v4).toEqual([expect.objectContaining({ bytes: 1372 }), here, narrow, narrow, narrow]);
    const narrow6 = { ...narrow, by: "fd01::1", to: "[fd02::3]:5678" };
    expect(v6).toEqual([expect.objectContaining({ bytes: 1352 }), here, narrow6, narrow6, narrow6]);
  });

  test("and one that may be cut passes, after the first was lost for it", async () => {
    const [came] = await ask({ udp: "10.2.0.3:5678", sizes: [1472, 1472, 1472] });
    expect(came!.slice(1)).toEqual([
      expect.objectContaining({ bytes: 1472 }),
      expect.objectContaining({ bytes: 1472 }),
    ]);
  });
});

test("an established connection outlives an ICMP that a plain program would not hear of", async () => {
  const heard = async (): Promise<number> => {
    const [names, values] = (await client.run("grep", "^Icmp:", "/proc/net/snmp")).split("\n");
    return Number(values!.split(" ")[names!.split(" ").indexOf("InDestUnreachs")]);
  };
  const before = await heard();
  const asking = ask({ tcp: "10.2.0.2:1234", echoes: 60, pauseMs: 50 });
  // The client has no other connection: it is there, and asks on while the way is closed again and again.
  await until("it is connected", async () => (await client.run("ss", "-Htn")).includes("10.2.0.2:1234"));
  // Long enough for a segment to be sent again: the ICMP that answers a send itself finds the socket busy.
  await router.configure(`for time in 1 2; do
    ip route add prohibit 10.2.0.2/32; sleep 1; ip route del prohibit 10.2.0.2/32; sleep 0.2; done`);
  expect(await asking).toMatchObject([[{ code: "well" }]]);
  expect(await heard()).toBeGreaterThan(before);
});

test("a connection's path is known: its MTU, its MSS", async () => {
  const [wide] = await ask({ tcp: "10.2.0.2:1234" });
  expect(wide).toEqual([{ code: "well", mss: 1448, pathMtu: 1500, retransmits: 0 }]);
});

test("a link-local end is reached through its zone, by name and by number, and named so", async () => {
  const [index] = (await client.run("ip", "-oneline", "link", "show", "eth0")).split(":");
  for (const zone of ["eth0", index!]) {
    const end = `[fe80::1%${zone}]:9`;
    const [udp, tcp] = await ask({ udp: end }, { tcp: end });
    expect(udp).toEqual([{ code: "refused", by: "fe80::1", to: end, mtu: null }]);
    expect(tcp).toMatchObject([{ code: "refused" }]);
  }
  const [nowhere] = await ask({ udp: "[fe80::1%nosuchzone]:9" });
  expect(nowhere).toMatchObject([{ code: "unreachable" }]);
});

describe("what this machine has no more of", () => {
  test("are descriptors", async () => {
    const asks = [{ tcp: "127.0.0.1:9" }, { udp: "127.0.0.1:9" }].map((each) => JSON.stringify(each));
    const script = 'ulimit -n 64; exec "$@"';
    const said = await client.run("sh", "-c", script, "sh", process.execPath, ASK, "--full", ...asks);
    const none = { code: "no_descriptors_here", by: null, to: null, mtu: null };
    expect(JSON.parse(said)).toEqual([[none], [none]]);
  });

  test("are ports", async () => {
    await client.configure("echo '40000 40003' > /proc/sys/net/ipv4/ip_local_port_range");
    const none = { code: "no_ports_here", by: null, to: null, mtu: null };
    for (const each of [{ tcp: "10.2.0.2:1234" }, { udp: "10.2.0.2:5678" }]) {
      const asks = new Array<string>(5).fill(JSON.stringify(each));
      const said = JSON.parse(await client.run(process.execPath, ASK, "--hold", ...asks));
      expect(said.slice(0, 4)).not.toContainEqual([none]);
      expect(said[4]).toEqual([none]);
    }
  });
});
