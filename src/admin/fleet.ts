import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** A name of the fleet and the addresses that DNS gives for it; none where it gives none. */
export interface FleetMember {
  readonly name: string;
  readonly addresses: readonly string[];
}

const MEMBERS = ["server1", "server2", "server3"];
const PATIENCE_MS = 1000;

/** Where this Pod is in DNS. */
export interface DnsPlace {
  /** The headless Service that this Pod has its name in; null where it has none. */
  readonly subdomain: string | null;
  /** This Pod's name from within its namespace: `server1.headless`; null where it has none. */
  readonly name: string | null;
}

export function dnsPlace(): DnsPlace {
  const host = hostname();
  const subdomain = subdomainOf(readText("/etc/hosts"), host);
  return { subdomain, name: subdomain === null ? null : `${host}.${subdomain}` };
}

/** This Pod's namespace; null outside a cluster. */
export function namespaceHere(): string | null {
  return namespaceOf(readText("/etc/resolv.conf"));
}

/** The fleet as DNS shows it: the name of all, then the members by name, where this fleet has any. */
export async function resolveFleet({ subdomain }: DnsPlace): Promise<FleetMember[]> {
  const domain = subdomain ?? "headless";
  const names = [domain, ...MEMBERS.map((name) => `${name}.${domain}`)];
  return present(await Promise.all(names.map(resolveMember)));
}

/**
 * What this fleet is: a member without an address is missing where another has one; where none has, this fleet has no
 * members with names (a server on every node).
 */
export function present([all, ...members]: readonly FleetMember[]): FleetMember[] {
  const named = members.some(({ addresses }) => addresses.length > 0);
  return [...(all === undefined ? [] : [all]), ...(named ? members : [])];
}

/**
 * The headless Service that this Pod has its name in, which a name's prefix or suffix may have changed: the kubelet
 * writes `10.0.0.7 server1.headless.echo-server.svc.cluster.local server1` into /etc/hosts.
 * @returns null for a Pod that has no such name
 */
export function subdomainOf(hosts: string, host: string): string | null {
  for (const line of hosts.split("\n")) {
    const [, full, short] = line.trim().split(/\s+/);
    const [name, subdomain, , svc] = full?.split(".") ?? [];
    if (short === host && name === host && svc === "svc") return subdomain!;
  }
  return null;
}

/**
 * The namespace whose names need no more: the kubelet writes `search echo-server.svc.cluster.local svc.cluster.local
 * cluster.local` into /etc/resolv.conf.
 * @returns null where no Pod's names are looked for
 */
export function namespaceOf(resolvConf: string): string | null {
  return /^search[ \t]+([a-z0-9-]+)\.(svc\.\S+)[ \t]+\2(?:\s|$)/m.exec(resolvConf)?.[1] ?? null;
}

/** "" where it cannot be read. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Best effort: no answer in time is no address. */
async function resolveMember(name: string): Promise<FleetMember> {
  const looked = Bun.dns.lookup(name, { backend: "getaddrinfo" }).then(
    (found) => [...new Set(found.map(({ address }) => address))].sort(),
    () => [],
  );
  const addresses = await Promise.race([looked, Bun.sleep(PATIENCE_MS).then(() => [])]);
  return { name, addresses };
}
