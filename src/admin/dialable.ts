import { type Address, parseAddress } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";

const LOOPBACK: Address = parseAddress("127.0.0.1")!;

/**
 * Where to dial what listens at `bound`. A wildcard is dialled by 127.0.0.1: `::` takes IPv4 too, or is bound next to a
 * `0.0.0.0` that does, and a container with IPv6 does not always have `::1`.
 */
export function dialable({ address, port }: Endpoint): Endpoint {
  const wildcard = address.a0 === 0 && address.a1 === 0 && address.a3 === 0;
  return { address: wildcard ? LOOPBACK : address, port };
}
