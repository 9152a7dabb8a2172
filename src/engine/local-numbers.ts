/** The rules number local addresses by 16 bits. A host has fewer, but 127.0.0.0/8 has more: two may then share a number. */
const NUMBERS = 65536;

/**
 * The numbers of a loop's local addresses, by which the rules tell them apart. An address that goes and comes back keeps
 * its number, so its sessions go on.
 */
export class LocalNumbers {
  readonly #byAddress = new Map<string, number>();

  /** The number of a local address; a new one gets the next. `address` is any text that stands for it alone. */
  of(address: string): number {
    const known = this.#byAddress.get(address);
    if (known !== undefined) return known;
    const number = this.#byAddress.size % NUMBERS;
    if (this.#byAddress.size < NUMBERS) this.#byAddress.set(address, number);
    return number;
  }
}
