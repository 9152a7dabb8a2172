import type { Host } from "../clients/network.ts";

/**
 * Faults of a network, each made by one call and undone at the end of its scope:
 *
 *     await using _drop = await iptables(lab.router, "-A FORWARD -p udp --dport 5678 -j DROP");
 */
export type Fault = AsyncDisposable;

/** Runs a script on a host, and another at the end. */
export async function change(host: Host, make: string, undo: string): Promise<Fault> {
  await host.configure(make);
  return { [Symbol.asyncDispose]: () => host.configure(undo) };
}

/** A rule of netfilter. */
export interface Rule extends Fault {
  /** Packets that it has taken so far. */
  packets(): Promise<number>;
}

let rules = 0;

/**
 * A rule for IPv4.
 * @param rule what follows `iptables`: `-t nat -A PREROUTING -d 10.0.0.1 -j DNAT --to-destination 10.0.0.2`
 */
export function iptables(host: Host, rule: string): Promise<Rule> {
  return netfilter("iptables", host, rule);
}

/** The same for IPv6. */
export function ip6tables(host: Host, rule: string): Promise<Rule> {
  return netfilter("ip6tables", host, rule);
}

async function netfilter(program: string, host: Host, rule: string): Promise<Rule> {
  const name = `lab-${++rules}`; // by which it is found again: -D does not know every rule by its words
  const table = /-t (\w+)/.exec(rule)?.[1] ?? "filter";
  const chain = /-[AI] (\w+)/.exec(rule)![1]!;
  await host.configure(`${program} -w ${rule} -m comment --comment ${name}`);
  const list = async (): Promise<string[]> => {
    const listed = await host.run(program, "-w", "-t", table, "-nvxL", chain, "--line-numbers");
    return listed
      .split("\n")
      .find((line) => line.includes(`/* ${name} */`))!
      .trim()
      .split(/ +/);
  };
  return {
    async packets() {
      const [, packets] = await list();
      return Number(packets);
    },
    async [Symbol.asyncDispose]() {
      const [line] = await list();
      await host.configure(`${program} -w -t ${table} -D ${chain} ${line}`);
    },
  };
}

/**
 * A rule of nftables that sees what comes in at a device before the kernel puts fragments together.
 * @param rule its match and verdict: `ip frag-off & 0x1fff != 0 drop`
 */
export function ingress(host: Host, device: string, rule: string): Promise<Fault> {
  const table = `lab${++rules}`;
  return change(
    host,
    `nft -f - <<'END'
table netdev ${table} {
  chain ingress {
    type filter hook ingress device ${device} priority 0;
    ${rule}
  }
}
END`,
    `nft delete table netdev ${table}`,
  );
}

/** What is a fragment, first or later, in `ingress`. */
export const FRAGMENTS_V4 = "ip frag-off & 0x3fff != 0";
export const FRAGMENTS_V6 = "exthdr frag exists";

/** UDP payloads of these sizes, both included, for `iptables`. Fragments are put together there. */
export function payloads(from: number, to: number): string {
  return `-p udp -m length --length ${from + 28}:${to + 28}`;
}

/** A route, e.g. `prohibit 10.1.0.0/24`, `10.97.1.2 via 10.97.1.2 mtu 1400`; of IPv6 by its addresses. */
export function route(host: Host, words: string): Promise<Fault> {
  const family = words.includes(":") ? "-6" : "-4";
  // Kept with a metric below the routes that were there, so that nothing of these is replaced.
  return change(host, `ip ${family} route add ${words} metric 1`, `ip ${family} route del ${words} metric 1`);
}

/** A value below /proc/sys/ of this host's network; the old one comes back. */
export async function sysctl(host: Host, name: string, value: string): Promise<Fault> {
  const file = `/proc/sys/${name}`;
  const before = (await host.run("cat", file)).trim();
  return change(host, `echo '${value}' > ${file}`, `echo '${before}' > ${file}`);
}

/** A host says no ICMP of its own: "too big" and every refusal is filtered. */
export async function noIcmp(host: Host): Promise<Fault> {
  return together(
    await iptables(host, "-A OUTPUT -p icmp -j DROP"),
    // Not the neighbours: IPv6 finds them by ICMP.
    await ip6tables(host, "-A OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP"),
    await ip6tables(host, "-A OUTPUT -p icmpv6 --icmpv6-type destination-unreachable -j DROP"),
  );
}

/** A Service: a virtual end and what it is translated to, by conntrack, as kube-proxy does. */
export interface ServiceRule {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  /** `10.97.1.2:5678`, `[fd97:1::2]:5678`. */
  readonly backends: readonly string[];
  /** The first backend gets one new flow in so many, the second all others; 2 if not given. */
  readonly every?: number;
}

/** A Service with one backend or two, on the router. What conntrack remembers of it is forgotten at its end. */
export async function service(router: Host, rule: ServiceRule): Promise<Fault> {
  return together({ [Symbol.asyncDispose]: () => forgetFlows(router) }, await destination(router, rule));
}

/** The same, and flows that conntrack knows stay where they are after its end: a stale entry. */
export async function destination(router: Host, rule: ServiceRule): Promise<Fault> {
  const { protocol, address, port, backends } = rule;
  const add = address.includes(":") ? ip6tables : iptables;
  const [first, second] = backends;
  const match = `-t nat -A PREROUTING -d ${address} -p ${protocol} --dport ${port}`;
  const share = second === undefined ? "" : `-m statistic --mode nth --every ${rule.every ?? 2} --packet 0`;
  const made: Fault[] = [await add(router, `${match} ${share} -j DNAT --to-destination ${first}`)];
  if (second !== undefined) made.push(await add(router, `${match} -j DNAT --to-destination ${second}`));
  return together(...made);
}

/** What conntrack remembers is forgotten. */
export async function forgetFlows(router: Host): Promise<void> {
  await router.run("conntrack", "-F");
}

/** Several faults as one; undone from the last to the first. */
export function together(...faults: readonly Fault[]): Fault {
  return {
    async [Symbol.asyncDispose]() {
      for (const fault of faults.toReversed()) await fault[Symbol.asyncDispose]();
    },
  };
}
