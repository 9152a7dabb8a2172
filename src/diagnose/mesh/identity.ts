import type { Banner } from "../../net/banner.ts";
import { type Endpoint, sameAddressAndPort } from "../../net/endpoint.ts";

/** What is wrong with who answered; null: it is the peer that was meant, or nobody asks. */
export type IdentityFault = "other_server" | "no_banner" | null;

/**
 * A UDP flow that does not say who it is counts for so long after some flow to the peer did. All of a peer's probes are
 * made in an interval, so a peer that is there has said it a moment ago.
 */
const PROOF_INTERVALS = 3;

/**
 * And no longer than this in all, without any UDP flow that says it. A server sends no banner where its budget of them is
 * spent, or where the port was used lately and its session lives on (60 s, unless it was told otherwise). A minute of new
 * ports, one after another, none of which gets a banner, is neither: it is somebody who has none.
 */
const UNNAMED_MS = 60_000;

/**
 * Who it is that answers at a peer's address: its banner's `Server:` must be the end that was asked. Each TCP session must
 * say it. A UDP flow is told once, at its beginning, and may go without: it then counts for a while on the word of the
 * peer's other flows, and its next probes come from new ports until one is told. Reads no clock.
 */
export class Identity {
  readonly #isWanted: boolean;
  readonly #proofMs: number;
  /** When a flow last said that it is the peer; nothing since said otherwise. */
  #provenAtMs = Number.NEGATIVE_INFINITY;
  /** When the first UDP flow was answered without saying it, of an unbroken row; null without such. */
  #unnamedSinceMs: number | null = null;

  /**
   * @param isWanted whether who answers matters
   * @param timeoutMs of a probe
   */
  constructor(isWanted: boolean, intervalMs: number, timeoutMs: number) {
    this.#isWanted = isWanted;
    this.#proofMs = PROOF_INTERVALS * intervalMs + timeoutMs;
  }

  /** Whether a UDP flow must still be told whom it reaches. */
  lacks(banner: Banner | null): boolean {
    return this.#isWanted && banner === null;
  }

  /** Who answered a TCP session. @param end what was asked */
  ofSession(banner: Banner | null, end: Endpoint, nowMs: number): IdentityFault {
    if (!this.#isWanted) return null;
    return banner === null ? "no_banner" : this.#compare(banner, end, nowMs);
  }

  /** Who answered a UDP flow, by what it was told last. */
  ofFlow(banner: Banner | null, end: Endpoint, nowMs: number): IdentityFault {
    if (!this.#isWanted) return null;
    if (banner !== null) {
      this.#unnamedSinceMs = null;
      return this.#compare(banner, end, nowMs);
    }
    this.#unnamedSinceMs ??= nowMs;
    const isProven = nowMs - this.#provenAtMs <= this.#proofMs;
    return isProven && nowMs - this.#unnamedSinceMs <= UNNAMED_MS ? null : "no_banner";
  }

  #compare({ server }: Banner, end: Endpoint, nowMs: number): IdentityFault {
    const isMeant = sameAddressAndPort(server, end);
    this.#provenAtMs = isMeant ? nowMs : Number.NEGATIVE_INFINITY;
    return isMeant ? null : "other_server";
  }
}
