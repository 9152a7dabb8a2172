import { type Look, type Probe, SIZE_MAX, type Sized } from "./look.ts";
import { type Loss, lossOf, measurableUpTo, triesFor } from "./loss.ts";
import { firstSizes, isLost, nextSizes } from "./sizes.ts";
import { lowestTold, type PathKind, stretchesOf } from "./stretches.ts";

/** A path takes some 60 sizes, one with an edge and a hole each way some 200; one that loses at random would take all. */
const SIZES_MAX = 500;

/** The person or the time says that it is enough. */
export interface Limits {
  /** Told after each round: how much is done, 0 to 1. */
  progress(share: number): void;
  isOver(): boolean;
}

/** All that was found out. */
export interface Swept {
  /** Every size that was looked at, up to the largest that can be measured. */
  readonly known: ReadonlyMap<number, Sized>;
  /** Beyond it the path loses so much at random that nothing can be said of a size; 0 where of none. */
  readonly measurableUpTo: number;
  readonly loss: Loss;
}

/**
 * Finds out which sizes pass, each way by itself: asks `probe` until between any two sizes that fared differently
 * there is no other, the bytes round every edge are known, and what was lost was lost twice over.
 * @param interfaceMtu where to look first; null where it is not known
 * @returns null where that came to no end
 */
export async function sweep(
  probe: Probe,
  kind: PathKind,
  interfaceMtu: number | null,
  limits: Limits,
): Promise<Swept | null> {
  const known = new Map<number, Sized>();
  const confirmed = new Set<number>();
  let asked = firstSizes(interfaceMtu, kind);
  for (;;) {
    if (known.size + asked.length > SIZES_MAX) return null;
    const tries = triesFor(sweptOf(known, kind).loss);
    await Promise.all(
      asked.map(async (size) => learn(known, await lookAt(probe, size, tries, canBeCut(known, kind)))),
    );
    if (limits.isOver()) return null;
    const swept = sweptOf(known, kind);
    if (swept.measurableUpTo === 0) return swept;
    asked = nextSizes(swept.known, kind).filter((size) => size <= swept.measurableUpTo);
    limits.progress(1 - asked.length / (known.size + asked.length));
    if (asked.length === 0) asked = doubtfulSizes(swept.known, confirmed, kind);
    if (asked.length === 0) return swept;
  }
}

/** What is known without what cannot be. As long as it is not known what the interface takes, that is everything. */
function sweptOf(known: ReadonlyMap<number, Sized>, kind: PathKind): Swept {
  const sizes = [...known.values()];
  const fits = Math.max(0, ...sizes.filter(({ whole }) => whole.there !== "here").map(({ size }) => size));
  const loss = lossOf(sizes, fits, kind);
  const isSure = fits === SIZE_MAX || known.get(fits + 1)?.whole.there === "here";
  const most = isSure ? measurableUpTo(loss, fits, kind) : SIZE_MAX;
  return { known: new Map([...known].filter(([size]) => size <= most)), measurableUpTo: most, loss };
}

/**
 * Whether a datagram that fits the interface and may be cut fares otherwise than one that may not. Over IPv6 nobody but
 * the sender cuts, and one who was told nothing sends what fits as it is.
 */
function canBeCut(known: ReadonlyMap<number, Sized>, { ipv6 }: PathKind): boolean {
  return !ipv6 || lowestTold(known.values()) !== null;
}

async function lookAt(probe: Probe, size: number, tries: number, canBeCut: boolean): Promise<Sized> {
  const whole = await probe(size, { dontFragment: true, tries });
  const { there } = whole;
  const isSame = !canBeCut && (there === "lost" || there === "unknown");
  const cuttable = there === "passed" || isSame ? null : await probe(size, { dontFragment: false, tries });
  return { size, whole, cuttable };
}

/**
 * Both ends of everything lost, once each: a size may have had bad luck three times, and a server behind a Service may
 * have been the first of several to be told that the way back is narrow.
 */
function doubtfulSizes(known: ReadonlyMap<number, Sized>, confirmed: Set<number>, kind: PathKind): number[] {
  const told = lowestTold(known.values());
  const ends = stretchesOf(known.values(), kind).flatMap(({ from, to }) => [from, to]);
  const doubtful = [...new Set(ends)].filter(
    (size) => !confirmed.has(size) && isLost(known.get(size)!, told, kind),
  );
  for (const size of doubtful) confirmed.add(size);
  return doubtful;
}

function learn(known: Map<number, Sized>, sized: Sized): void {
  const before = known.get(sized.size);
  known.set(sized.size, before === undefined ? sized : better(before, sized));
}

/** What was seen to pass once passes. */
function better(before: Sized, after: Sized): Sized {
  const whole = betterLook(before.whole, after.whole);
  if (whole.there === "passed") return { size: before.size, whole, cuttable: null };
  const [a, b] = [before.cuttable, after.cuttable];
  return { size: before.size, whole, cuttable: a === null || b === null ? (b ?? a) : betterLook(a, b) };
}

function betterLook(before: Look, after: Look): Look {
  return rank(after) >= rank(before) ? after : before;
}

function rank({ there, back }: Look): number {
  if (there !== "passed") return there === "told" ? 1 : 0;
  return back === "lost" ? 2 : 3;
}
