/** Lets so many bytes be under way at once; who would be too much waits, in the order of coming. */
export class Gate {
  readonly #waiting: { readonly cost: number; readonly enter: () => void }[] = [];
  #free: number;

  /** @param capacity bytes; nobody may cost more */
  constructor(capacity: number) {
    this.#free = capacity;
  }

  /** Does something that costs so much, once there is room. */
  async pass<T>(cost: number, work: () => Promise<T>): Promise<T> {
    await this.#enter(cost);
    try {
      return await work();
    } finally {
      this.#free += cost;
      this.#admit();
    }
  }

  #enter(cost: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ cost, enter: resolve });
    this.#admit();
    return promise;
  }

  #admit(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.cost <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.cost;
      next.enter();
    }
  }
}
