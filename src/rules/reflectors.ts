import type { SharedTables } from "../state/shared.ts";
import { SentBanners } from "./sent-banners.ts";
import type { RuleSettings } from "./settings.ts";

/**
 * A session is watched in its first datagrams: so many of them, and all of those within so long, since what a forger
 * sends ahead of the banner's return comes first.
 */
const WATCHED_DATAGRAMS = 16;
const WATCHED_MS = 1000;

/** A datagram of no session. */
export const NO_SESSION = -1;

/** What stands with a session that is not yet known to be a client's. */
export const WATCHED = 0;
export const TRUSTED = 1;
export const MUTED = 2;
export type Standing = typeof WATCHED | typeof TRUSTED | typeof MUTED;

/** In place of the number of datagrams that are still to be watched. */
const IS_MUTED = 255;

/**
 * Peers that send back what they get, by the one thing that tells them from clients: a banner of ours comes back,
 * byte for byte. A constant payload that returns at any pace may be a client's, so nothing else counts.
 */
export class Reflectors {
  readonly sent: SentBanners;
  /** By session: datagrams still to be watched, or IS_MUTED. */
  readonly #left: Uint8Array;
  #session = NO_SESSION;
  #length = 0;

  constructor(settings: RuleSettings, tables: SharedTables) {
    this.sent = new SentBanners(tables, settings.bannerFields);
    this.#left = new Uint8Array(settings.maxUdpSessions);
  }

  /** A session begins. */
  begin(session: number): void {
    this.#left[session] = WATCHED_DATAGRAMS;
  }

  /** One more datagram of a session that is not TRUSTED yet came at that age: what stands with it. */
  next(session: number, ageMs: number): Standing {
    const left = this.#left[session]!;
    if (left === IS_MUTED) return MUTED;
    if (left > 1) this.#left[session] = left - 1;
    else if (ageMs > WATCHED_MS) return TRUSTED;
    return WATCHED;
  }

  /** Whether the bytes of a datagram of that length must be shown to `isReflected`, which then is about this one. */
  suspects(session: number, length: number): boolean {
    this.#session = session;
    this.#length = length;
    return this.sent.isLength(length);
  }

  /** Whether the datagram, whose bytes begin at `at`, is a banner of ours. Its session is MUTED then. */
  isReflected(bytes: Uint8Array, at: number): boolean {
    if (!this.sent.has(bytes, at, this.#length)) return false;
    if (this.#session !== NO_SESSION) this.#left[this.#session] = IS_MUTED;
    return true;
  }
}

/** Null where there are no banners, so none to come back. */
export function reflectorsOf(settings: RuleSettings, tables: SharedTables): Reflectors | null {
  const { banner, udpBannerRate, udpBannerRatePerPrefix } = settings;
  const banners = banner && udpBannerRate > 0 && udpBannerRatePerPrefix > 0;
  return banners ? new Reflectors(settings, tables) : null;
}
