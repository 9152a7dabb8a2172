import { type Address, MAPPED, parseAddress } from "../../net/address.ts";

/** A power of two: clients seen lately whose addresses need no parsing. */
const PLACES = 1024;

const NOWHERE: Address = { a0: 0, a1: 0, a2: MAPPED, a3: 0 };

/**
 * Addresses by their text. Bun tells a datagram's source as a string made for it; comparing that with one seen
 * before costs less than parsing it or looking it up in a Map. Direct-mapped, so a flood of forged sources costs
 * parsing and no memory.
 */
export class AddressCache {
  readonly #texts: string[] = new Array<string>(PLACES).fill("");
  readonly #addresses: Address[] = new Array<Address>(PLACES).fill(NOWHERE);

  /** The words of an address that the kernel named. */
  get(text: string): Address {
    const place = placeOf(text);
    if (this.#texts[place] === text) return this.#addresses[place]!;
    const address = parseAddress(text) ?? NOWHERE;
    this.#texts[place] = text;
    this.#addresses[place] = address;
    return address;
  }
}

/** Neighbours differ in their last characters. */
function placeOf(text: string): number {
  const { length } = text;
  const last = text.charCodeAt(length - 1) + text.charCodeAt(length - 2) * 11;
  return (last + text.charCodeAt(length - 3) * 121 + text.charCodeAt(length - 5) * 401) & (PLACES - 1);
}
