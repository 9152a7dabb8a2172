import type { Protocol } from "../result.ts";

/** What became of a new flow, as far as it explains why another one is silent. */
export type NewcomerFate =
  | { readonly kind: "answered"; readonly server: string | null }
  /** By whom, null where the system does not tell. */
  | { readonly kind: "refused"; readonly by: string | null }
  | { readonly kind: "unreachable"; readonly by: string | null }
  /** TCP: connected, and then nothing. */
  | { readonly kind: "accepted" }
  /** TCP: connected, and then the end without an echo. */
  | { readonly kind: "cut" }
  | { readonly kind: "no_name" }
  /** Nothing came for so long. */
  | { readonly kind: "nothing"; readonly forMs: number };

/** What a newcomer has seen, and when it was sent. */
export interface Seen {
  readonly fate: NewcomerFate;
  readonly sentMs: number;
}

/** Newcomers answered one after the other whose sendings are remembered. */
const STREAK_KEPT = 64;

/** A newcomer that has no answer yet counts as evidence after so long, and after so many of the longest that one took. */
const EVIDENT_MS = 200;
const EVIDENT_TIMES = 3;

/** One that was sent. */
interface Newcomer {
  readonly sentMs: number;
  /** Null while it waits. */
  fate: NewcomerFate | null;
  /** TCP: there is a connection. */
  isAccepted: boolean;
}

/** What a newcomer's probe tells of it. */
export interface NewcomerNews {
  accepted(): void;
  ended(fate: NewcomerFate, nowMs: number): void;
}

/** The latest newcomers of a target, by protocol. */
export class Newcomers {
  /** The newest that is decided, and those that wait. */
  readonly #latest = new Map<Protocol, Newcomer[]>();
  /** Those that were answered since the last one that was not: the first, and the latest, by when they were sent. */
  readonly #streaks = new Map<Protocol, number[]>();
  /** The longest that an answer took. */
  #longestMs = 0;

  /** @param protocols those by which newcomers are sent at all */
  constructor(protocols: readonly Protocol[]) {
    for (const protocol of protocols) this.#latest.set(protocol, []);
  }

  measures(protocol: Protocol): boolean {
    return this.#latest.has(protocol);
  }

  /** One is sent. @returns what is to be told of it */
  sent(protocol: Protocol, nowMs: number): NewcomerNews {
    const newcomer: Newcomer = { sentMs: nowMs, fate: null, isAccepted: false };
    this.#of(protocol).push(newcomer);
    return {
      accepted: () => {
        newcomer.isAccepted = true;
      },
      ended: (fate, endMs) => {
        newcomer.fate = fate;
        this.#addToStreak(protocol, newcomer.sentMs, fate.kind === "answered");
        if (fate.kind === "answered") this.#longestMs = Math.max(this.#longestMs, endMs - newcomer.sentMs);
        const newest = this.#of(protocol).findLast((each) => each.fate !== null);
        const kept = this.#of(protocol).filter((each) => each.fate === null || each === newest);
        this.#latest.set(protocol, kept);
      },
    };
  }

  /** What the newest newcomer has seen that was sent at `sinceMs` or later; null while that is not known. */
  seenSince(protocol: Protocol, sinceMs: number, nowMs: number): Seen | null {
    for (const { sentMs, fate, isAccepted } of this.#of(protocol).toReversed()) {
      if (sentMs < sinceMs) return null;
      if (fate !== null) return { fate, sentMs };
      if (nowMs - sentMs < this.evidentMs) continue;
      return { fate: isAccepted ? { kind: "accepted" } : { kind: "nothing", forMs: nowMs - sentMs }, sentMs };
    }
    return null;
  }

  /** How long one that has no answer must wait to be evidence, ms. */
  get evidentMs(): number {
    return Math.max(EVIDENT_MS, EVIDENT_TIMES * this.#longestMs);
  }

  /** When the first was sent, at `sinceMs` or later, from which on all were answered; null without such. */
  answeredSince(protocol: Protocol, sinceMs: number): number | null {
    return this.#streaks.get(protocol)?.find((sentMs) => sentMs >= sinceMs) ?? null;
  }

  #addToStreak(protocol: Protocol, sentMs: number, isAnswered: boolean): void {
    const streak = this.#streaks.get(protocol) ?? [];
    this.#streaks.set(protocol, streak);
    if (isAnswered) streak.push(sentMs);
    else if (sentMs >= (streak[0] ?? sentMs)) streak.length = 0;
    if (streak.length > STREAK_KEPT) streak.splice(1, 1); // the first one stays
  }

  #of(protocol: Protocol): Newcomer[] {
    return this.#latest.get(protocol) ?? [];
  }
}
