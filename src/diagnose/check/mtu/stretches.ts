import { arrivedOf, type Look, type Sized, type Told } from "./look.ts";

/** What became of datagrams of some size, in the terms by which sizes are told apart. */
export interface Fate {
  /** Whether they fit the interface, so that they leave whole. */
  readonly fits: boolean;
  /**
   * The way there: with don't-fragment where they fit, else in fragments. `told`: too big, and the sender knows.
   * `either`: lost, there or back.
   */
  readonly there: "passed" | "told" | "lost" | "either";
  /** Whether they arrived, by whatever means; null where that is not known. */
  readonly arrived: boolean | null;
  /** The way back, of those that arrived. */
  readonly back: Look["back"];
}

/** Payload sizes from the first to the last, both included, that all fared alike. */
export interface Stretch extends Fate {
  readonly from: number;
  readonly to: number;
}

/** The path: what its sizes are judged by. */
export interface PathKind {
  /** IP and UDP header bytes: of IPv4 28, of IPv6 48. */
  readonly headers: number;
  readonly ipv6: boolean;
}

/** The lowest MTU that ICMP told; null where it told none. */
export function lowestTold(sizes: Iterable<Sized>): Told | null {
  let lowest: Told | null = null;
  for (const { whole } of sizes) {
    if (whole.told !== null && whole.told.mtu < (lowest?.mtu ?? Number.POSITIVE_INFINITY))
      lowest = whole.told;
  }
  return lowest;
}

/**
 * What became of one size. What is over an MTU that was told once counts as told: routers say it so many times a
 * second only (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f).
 */
export function fateOf(sized: Sized, told: Told | null, { headers }: PathKind): Fate {
  const { size, whole, cuttable } = sized;
  const fits = whole.there !== "here";
  const arrived = arrivedOf(sized);
  const last = cuttable ?? whole;
  return {
    fits,
    there: fits ? thereWhole(sized, told !== null && size + headers > told.mtu) : thereCut(last),
    arrived: arrived !== null ? true : last.there === "unknown" ? null : false,
    back: arrived?.back ?? "unknown",
  };
}

function thereWhole(sized: Sized, overTold: boolean): Fate["there"] {
  const { there } = sized.whole;
  if (there === "passed") return "passed";
  if (there === "told" || overTold) return "told";
  // Without don't-fragment it passes, and its echo is the same: so the way there has lost it.
  return there === "lost" || arrivedOf(sized) !== null ? "lost" : "either";
}

function thereCut({ there }: Look): Fate["there"] {
  if (there === "passed") return "passed";
  return there === "unknown" ? "either" : "lost";
}

/** Sizes that were looked at, as stretches in their order; of sizes between two that fared alike the same is taken to be true. */
export function stretchesOf(sizes: Iterable<Sized>, kind: PathKind): Stretch[] {
  const sorted = [...sizes].sort((a, b) => a.size - b.size);
  const told = lowestTold(sorted);
  const stretches: Stretch[] = [];
  for (const sized of sorted) {
    const fate = fateOf(sized, told, kind);
    const last = stretches.at(-1);
    if (last !== undefined && sameFate(last, fate))
      stretches[stretches.length - 1] = { ...last, to: sized.size };
    else stretches.push({ ...fate, from: sized.size, to: sized.size });
  }
  return stretches;
}

function sameFate(a: Fate, b: Fate): boolean {
  return a.fits === b.fits && a.there === b.there && a.arrived === b.arrived && a.back === b.back;
}

/** Largest payload that arrives whole with don't-fragment. */
export function largestWholeThere(stretches: readonly Stretch[]): number {
  return endOfLast(stretches, ({ fits, there }) => fits && there === "passed");
}

/** Largest payload whose echo comes whole. */
export function largestWholeBack(stretches: readonly Stretch[]): number {
  return endOfLast(stretches, ({ back }) => back === "whole");
}

/** Largest payload that the interface takes whole. */
export function largestThatFits(stretches: readonly Stretch[]): number {
  return endOfLast(stretches, ({ fits }) => fits);
}

/** The end of the last stretch of that kind; 0 where there is none. */
export function endOfLast(stretches: readonly Stretch[], is: (stretch: Stretch) => boolean): number {
  return stretches.findLast(is)?.to ?? 0;
}
