import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Address, parseAddress, sameAddress } from "../../../net/address.ts";

/**
 * What the interface with that address of this machine takes: bytes of an IP packet. Null where no interface has it,
 * or the system does not say (only Linux does, by sysfs). It is where to look first, no more: a datagram may leave by
 * another interface than the one that has its source address.
 */
export function interfaceMtu(own: Address): number | null {
  for (const [name, entries = []] of Object.entries(networkInterfaces())) {
    const has = entries.some((entry) => {
      const address = parseAddress(entry.address);
      return address !== null && sameAddress(address, own);
    });
    if (has) return mtuOf(name);
  }
  return null;
}

function mtuOf(name: string): number | null {
  try {
    const mtu = Number(readFileSync(`/sys/class/net/${name}/mtu`, "utf8"));
    return Number.isInteger(mtu) && mtu > 0 ? mtu : null;
  } catch {
    return null;
  }
}
