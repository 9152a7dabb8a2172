import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";

/** One address of this machine, and the interface that has it. */
export interface OwnAddress extends Pick<NetworkInterfaceInfo, "address" | "family" | "mac"> {
  /** Of the interface. */
  readonly name: string;
}

/** Every address of this machine; none where the system does not say: getifaddrs(3) needs a descriptor, and throws without. */
export function ownAddresses(): OwnAddress[] {
  try {
    return Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
      infos.map(({ address, family, mac }) => ({ name, address, family, mac })),
    );
  } catch {
    return [];
  }
}
