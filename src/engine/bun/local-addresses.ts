import { networkInterfaces } from "node:os";
import { formatAddress, parseAddress } from "../../net/address.ts";

export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/**
 * The addresses that `hosts` stand for: each host itself, and for a wildcard every address of the interfaces
 * (link-local ones with their zone). `::` stands for both families.
 */
export function addressesOf(hosts: readonly string[]): Set<string> {
  const addresses = new Set<string>();
  for (const host of hosts) {
    if (!isWildcard(host)) addresses.add(host);
    else for (const address of ofInterfaces(host === "::")) addresses.add(address);
  }
  return addresses;
}

function ofInterfaces(both: boolean): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.filter(({ family }) => both || family === "IPv4").map(({ address }) => withZone(address, name)),
  );
}

function withZone(text: string, interfaceName: string): string {
  const address = parseAddress(text)!;
  const linkLocal = address.a0 >>> 22 === 0xfe80 >>> 6; // fe80::/10, RFC 4291, 2.5.6
  return linkLocal ? `${formatAddress(address)}%${interfaceName}` : formatAddress(address);
}
