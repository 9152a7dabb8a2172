import { type Address, parseAddress, sameAddress } from "../../net/address.ts";
import { type OwnAddress, ownAddresses } from "../interfaces.ts";

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

function interfaceOf(own: Address): OwnAddress | null {
  const isOwn = ({ address }: OwnAddress): boolean => {
    const parsed = parseAddress(address);
    return parsed !== null && sameAddress(parsed, own);
  };
  return ownAddresses().find(isOwn) ?? null;
}

/**
 * What sysfs says, if it speaks of that interface: it shows the network namespace in which it was mounted, which need
 * not be this process's own. /proc shows one's own, but its figure is IPv6's, which a router may have made smaller.
 */
async function fromSysfs({ name, mac }: OwnAddress): Promise<number | null> {
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
