import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { requireTools } from "../clients/tools.ts";
import { tcpServer } from "./servers.ts";

/** What a client says of networks and limits that are not this process's own. */

await requireTools();

const ASK = fileURLToPath(new URL("./ask.ts", import.meta.url));

/** Runs `ask.ts` with these arguments, after what a shell does first; what became of each target. */
async function ask(before: string, ...args: string[]): Promise<string[]> {
  return run(["sh"], before, args);
}

/** The same in a network namespace of its own, with nothing but loopback. */
async function askInNetwork(before: string, ...args: string[]): Promise<string[]> {
  const user = process.getuid!() === 0 ? [] : ["--map-root-user"];
  return run(["unshare", "--net", ...user, "sh"], `ip link set lo up\n${before}`, args);
}

async function run(shell: readonly string[], before: string, args: readonly string[]): Promise<string[]> {
  const script = `set -e\n${before}\n"$@"`;
  const command = [...shell, "-c", script, "sh", process.execPath, ASK, ...args];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [said, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`ask.ts failed: ${errors}`);
  return JSON.parse(said);
}

/** A router behind a link: what it cannot or may not pass on it answers by ICMP, or throws away. */
const ROUTER = `
unshare --net sleep 60 & router=$!
trap 'kill $router' EXIT
until [ "$(readlink /proc/$router/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
ip link add client type veth peer name router
ip link set router netns $router
ip address add 10.9.9.1/24 dev client
ip link set client up
nsenter --target $router --net sh -ec '
  ip address add 10.9.9.2/24 dev router
  ip link set router up
  ip link set lo up
  echo 1 > /proc/sys/net/ipv4/ip_forward
  echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
  ip route add unreachable 198.51.100.0/25
  ip route add prohibit 198.51.100.128/25
  ip route add blackhole 203.0.113.0/24'
ip route add default via 10.9.9.2`;

describe("out of descriptors", () => {
  test("TCP and UDP say so", async () => {
    using server = tcpServer();
    const { port } = server.endpoint;
    const targets = [`tcp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port}/bun`, `udp://127.0.0.1:${port}`];
    expect(await ask("ulimit -n 64", "--full", ...targets)).toEqual(targets.map(() => "no_descriptors_here"));
  });
});

describe("in a network of its own", () => {
  test("without a route there nothing is reachable, and it is not called refused", async () => {
    const targets = ["10.0.0.1:7", "[2001:db8::1]:7"].flatMap((end) => [
      `tcp://${end}`,
      `tcp://${end}/bun`,
      `udp://${end}`,
      `udp://${end}/connected`,
      `way://${end}`,
    ]);
    expect(await askInNetwork("", ...targets)).toEqual(targets.map(() => "unreachable"));
  });

  test("what a route here forbids is unreachable", async () => {
    const routes =
      "ip route add prohibit 10.1.0.0/24\nip route add blackhole 10.2.0.0/24\nip route add unreachable 10.3.0.0/24";
    const targets = ["10.1.0.1", "10.2.0.1", "10.3.0.1"].flatMap((host) => [
      `tcp://${host}:7`,
      `tcp://${host}:7/bun`,
      `udp://${host}:7`,
    ]);
    expect(await askInNetwork(routes, ...targets)).toEqual(targets.map(() => "unreachable"));
  });

  test("ports run out here", async () => {
    const listen =
      'socat TCP4-LISTEN:7,fork PIPE & trap "kill $!" EXIT; until ss -ltn | grep -q ":7 "; do sleep 0.01; done';
    const range = "echo '40000 40003' > /proc/sys/net/ipv4/ip_local_port_range";
    for (const how of ["", "/bun"]) {
      const targets = new Array<string>(5).fill(`tcp://127.0.0.1:7${how}`);
      const said = await askInNetwork(`${range}\n${listen}`, "--hold", ...targets);
      expect([how, said]).toEqual([how, ["well", "well", "well", "well", "no_ports_here"]]);
    }
    const udp = new Array<string>(5).fill("way://127.0.0.1:9");
    expect(await askInNetwork(range, ...udp)).toEqual(udp.map(() => "well")); // each gives its port back
    const held = new Array<string>(5).fill("udp://127.0.0.1:9");
    expect((await askInNetwork(range, "--hold", ...held)).at(-1)).toBe("no_ports_here");
  });

  test("a router's ICMP makes TCP and UDP unreachable; Bun alone cannot tell it from refused", async () => {
    for (const host of ["198.51.100.1", "198.51.100.200"]) {
      const targets = [`tcp://${host}:7`, `udp://${host}:7`, `udp://${host}:7/connected`];
      expect(await askInNetwork(ROUTER, ...targets)).toEqual(targets.map(() => "unreachable"));
    }
    const byBun = ["198.51.100.1", "198.51.100.200", "10.9.9.2"].map((host) => `tcp://${host}:7/bun`);
    expect(await askInNetwork(ROUTER, ...byBun)).toEqual(byBun.map(() => "refused_or_unreachable"));
  });

  test("a host that is there refuses", async () => {
    expect(await askInNetwork(ROUTER, "tcp://10.9.9.2:7", "udp://10.9.9.2:7")).toEqual([
      "refused",
      "refused",
    ]);
  });

  test("what is thrown away on the way times out, and a connect is given up", async () => {
    const targets = ["tcp://203.0.113.1:7", "udp://203.0.113.1:7"];
    expect(await askInNetwork(ROUTER, "--timeout", "500", ...targets)).toEqual(["timeout", "timeout"]);
    // Bun alone cannot take back a connect that is under way, and the process would wait for it.
    const byBun = await askInNetwork(ROUTER, "--timeout", "500", "--leave", "tcp://203.0.113.1:7/bun");
    expect(byBun).toEqual(["timeout"]);
  });

  test("a link-local end is reached through its zone", async () => {
    const listen =
      'ip link set lo up; ip address add fe80::7/64 dev lo nodad; socat TCP6-LISTEN:7,fork PIPE & trap "kill $!" EXIT; until ss -ltn | grep -q ":7 "; do sleep 0.01; done';
    const zones = ["lo", "1"].flatMap((zone) => [
      `tcp://[fe80::7%${zone}]:7`,
      `tcp://[fe80::7%${zone}]:7/bun`,
    ]);
    expect(await askInNetwork(listen, ...zones)).toEqual(zones.map(() => "well"));
  });
});
