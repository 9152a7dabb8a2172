import { type Address, MAPPED } from "../net/address.ts";
import { AF_INET, AF_INET6 } from "./libc.ts";

/** Room for any sockaddr; `sockaddr_in6` has 28 bytes, `sockaddr_in` 16. */
export const SOCKADDR_BYTES = 28;

/**
 * Writes a sockaddr at `at` of `view`; returns its length.
 * @param scope the number of the interface that a link-local IPv6 address is on (ipv6(7), `sin6_scope_id`); 0 for none
 */
export function writeSockaddr(
  view: DataView,
  at: number,
  family: number,
  address: Address,
  port: number,
  scope = 0,
): number {
  view.setUint16(at, family, true);
  view.setUint16(at + 2, port);
  if (family === AF_INET) {
    view.setInt32(at + 4, address.a3);
    view.setInt32(at + 8, 0);
    view.setInt32(at + 12, 0);
    return 16;
  }
  view.setInt32(at + 4, 0);
  view.setInt32(at + 8, address.a0);
  view.setInt32(at + 12, address.a1);
  view.setInt32(at + 16, address.a2);
  view.setInt32(at + 20, address.a3);
  view.setUint32(at + 24, scope, true);
  return 28;
}

/** The interface that the address of the sockaddr at `at` is on; 0 where it is not link-local, or IPv4. */
export function scopeAt(view: DataView, at: number): number {
  return view.getUint16(at, true) === AF_INET6 ? view.getUint32(at + 24, true) : 0;
}

/** A sockaddr read into numbers; one is made per loop and used again for every connection. */
export class Sockaddr implements Address {
  a0 = 0;
  a1 = 0;
  a2 = 0;
  a3 = 0;
  port = 0;

  /** Reads the sockaddr at `at` of `view`. */
  read(view: DataView, at: number): this {
    this.port = view.getUint16(at + 2);
    if (view.getUint16(at, true) === AF_INET) {
      this.a0 = 0;
      this.a1 = 0;
      this.a2 = MAPPED;
      this.a3 = view.getInt32(at + 4);
    } else {
      this.a0 = view.getInt32(at + 8);
      this.a1 = view.getInt32(at + 12);
      this.a2 = view.getInt32(at + 16);
      this.a3 = view.getInt32(at + 20);
    }
    return this;
  }
}
