import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { type Address, parseAddress, sameAddress } from "../../net/address.ts";

/** The largest packet that an IPv4 header can name; the loopback interface says it has 65,536. */
const IP_PACKET_MAX = 65_535;

/**
 * MTU of the interface that has an address, in bytes of IP packet; null where that cannot be known (no Linux, an
 * address that is no interface's). Asks the kernel by its files, which anybody may read.
 */
export async function interfaceMtu(own: Address): Promise<number | null> {
  const found = interfaceOf(own);
  if (found === null || process.platform !== "linux") return null;
  const mtu = (await fromSysfs(found)) ?? (await readNumber(`/proc/sys/net/ipv6/conf/${found.name}/mtu`));
  return mtu === null ? null : Math.min(mtu, IP_PACKET_MAX);
}

interface Interface {
  readonly name: string;
  readonly mac: string;
}

function interfaceOf(own: Address): Interface | null {
  for (const [name, addresses] of interfaces()) {
    for (const { address, mac } of addresses ?? []) {
      const parsed = parseAddress(address);
      if (parsed !== null && sameAddress(parsed, own)) return { name, mac };
    }
  }
  return null;
}

/** All of them; none where the system does not say: getifaddrs(3) needs a descriptor. */
function interfaces(): [string, NetworkInterfaceInfo[] | undefined][] {
  try {
    return Object.entries(networkInterfaces());
  } catch {
    return [];
  }
}

/**
 * What sysfs says, if it speaks of that interface: it shows the network namespace in which it was mounted, which need
 * not be this process's own. /proc shows one's own, but its figure is IPv6's, which a router may have made smaller.
 */
async function fromSysfs({ name, mac }: Interface): Promise<number | null> {
  const directory = `/sys/class/net/${name}`;
  const address = await readText(`${directory}/address`);
  return address === mac ? readNumber(`${directory}/mtu`) : null;
}

async function readNumber(path: string): Promise<number | null> {
  const text = await readText(path);
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

async function readText(path: string): Promise<string | null> {
  try {
    return (await Bun.file(path).text()).trim();
  } catch {
    return null;
  }
}
