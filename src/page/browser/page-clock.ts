/** A difference to the server's time up to here is an answer's delay. */
const DELAY_MAX_S = 10;

/**
 * Seconds that pass for the page. Its own clock stands still while its machine sleeps (on Linux and macOS); the server's
 * goes on, and says by how much.
 */
export class PageClock {
  #asleepS = 0;
  #told: { readonly name: string; readonly uptimeS: number; readonly ownS: number } | null = null;

  /** @param ownS what the page's own clock shows, s */
  nowS(ownS = performance.now() / 1000): number {
    return ownS + this.#asleepS;
  }

  /** To be told how old a server is, each time that it says so. One that starts anew, or another one, tells nothing. */
  told(
    { name, uptimeMs }: { readonly name: string; readonly uptimeMs: number },
    ownS = performance.now() / 1000,
  ): void {
    const uptimeS = uptimeMs / 1000;
    if (this.#told?.name === name) {
      const missedS = uptimeS - this.#told.uptimeS - (ownS - this.#told.ownS);
      if (missedS > DELAY_MAX_S) this.#asleepS += missedS;
    }
    this.#told = { name, uptimeS, ownS };
  }
}
