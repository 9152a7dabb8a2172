/** Numbers to a page: a page is 4 KiB. */
const PAGE_NUMBERS = 32_768;

/**
 * Numbers from 0 up, a bit for each, in pages that are there only where a number is: an outage that costs hundreds of
 * thousands of messages costs as many bits. Every look-up takes the same time.
 */
export class NumberSet {
  readonly #pages = new Map<number, Int32Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(number: number): boolean {
    const at = number % PAGE_NUMBERS;
    const page = this.#pages.get((number - at) / PAGE_NUMBERS);
    return page !== undefined && (page[at >> 5]! & (1 << (at & 31))) !== 0;
  }

  /** Adds `from` and all after it that are below `to`. */
  addRange(from: number, to: number): void {
    for (let number = from; number < to; number++) {
      const at = number % PAGE_NUMBERS;
      const key = (number - at) / PAGE_NUMBERS;
      let page = this.#pages.get(key);
      if (page === undefined) {
        page = new Int32Array(PAGE_NUMBERS / 32);
        this.#pages.set(key, page);
      }
      const bit = 1 << (at & 31);
      if ((page[at >> 5]! & bit) === 0) this.#size++;
      page[at >> 5]! |= bit;
    }
  }

  /** Takes a number out; whether it was in. */
  delete(number: number): boolean {
    if (!this.has(number)) return false;
    const at = number % PAGE_NUMBERS;
    this.#pages.get((number - at) / PAGE_NUMBERS)![at >> 5]! ^= 1 << (at & 31);
    this.#size--;
    return true;
  }

  /** How many numbers are in both. */
  common(other: NumberSet): number {
    let count = 0;
    for (const [key, page] of this.#pages) {
      const theirs = other.#pages.get(key);
      if (theirs === undefined) continue;
      for (let at = 0; at < page.length; at++) count += ones(page[at]! & theirs[at]!);
    }
    return count;
  }
}

function ones(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
