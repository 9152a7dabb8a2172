import { type Look, type Probe, SIZE_MAX, type Sized } from "./look.ts";
import { isRandom, type Loss, lossOf, measurableUpTo, triesFor, triesInAll, unsureSizes } from "./loss.ts";
import { firstSizes, isLost, nextSizes } from "./sizes.ts";
import { lowestTold, type PathKind, stretchesOf } from "./stretches.ts";

/** A path takes some 60 sizes, one with an edge and a hole each way some 200; one that loses at random would take all. */
const SIZES_MAX = 500;

/** A size is not looked at more often, whatever its looks counted for: ICMP's word is no lost try. */
const LOOKS_MAX = 4;

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
    asked = toAsk(known, swept, kind);
    if (asked.length === 0) return swept;
    limits.progress(1 - asked.length / (known.size + asked.length));
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
  return { size, whole, cuttable, looks: 1 };
}

/** What to ask next; nothing where all is known. */
function toAsk(all: ReadonlyMap<number, Sized>, swept: Swept, kind: PathKind): number[] {
  const { known, measurableUpTo, loss } = swept;
  const unsure = unsureSizes([...all.values()]);
  if (unsure.length > 0) return unsure;
  const doubtful = isRandom(loss) ? doubtfulSizes(known, [...known.keys()], triesInAll(loss), kind) : [];
  if (doubtful.length > 0) return doubtful;
  const next = nextSizes(known, kind).filter((size) => size <= measurableUpTo);
  if (next.length > 0) return next;
  const ends = stretchesOf(known.values(), kind).flatMap(({ from, to }) => [from, to]);
  return doubtfulSizes(known, [...new Set(ends)], triesInAll(loss), kind);
}

/**
 * Those that are lost and were not tried often enough. It is asked of both ends of everything lost: a size may have had
 * bad luck, and a server behind a Service may have been the first of several to be told that the way back is narrow.
 */
function doubtfulSizes(
  known: ReadonlyMap<number, Sized>,
  sizes: readonly number[],
  tries: number,
  kind: PathKind,
): number[] {
  const told = lowestTold(known.values());
  return sizes.filter((size) => {
    const sized = known.get(size)!;
    const failed = Math.max(sized.whole.failed, sized.cuttable?.failed ?? 0);
    return isLost(sized, told, kind) && failed < tries && sized.looks < LOOKS_MAX;
  });
}

function learn(known: Map<number, Sized>, sized: Sized): void {
  const before = known.get(sized.size);
  known.set(sized.size, before === undefined ? sized : better(before, sized));
}

/** What was seen to pass once passes. */
function better(before: Sized, after: Sized): Sized {
  const { size } = before;
  const looks = before.looks + after.looks;
  const whole = betterLook(before.whole, after.whole);
  if (whole.there === "passed") return { size, whole, cuttable: null, looks };
  const [a, b] = [before.cuttable, after.cuttable];
  return { size, whole, cuttable: a === null || b === null ? (b ?? a) : betterLook(a, b), looks };
}

/** The one that got farther, the later one of equals, with what failed lately; of one that is lost, with all that failed. */
function betterLook(before: Look, after: Look): Look {
  const better = rank(after) >= rank(before) ? after : before;
  const isWell = rank(better) === RANK_MAX;
  return { ...better, failed: isWell ? after.failed : before.failed + after.failed };
}

const RANK_MAX = 3;

function rank({ there, back }: Look): number {
  if (there !== "passed") return there === "told" ? 1 : 0;
  return back === "lost" ? 2 : RANK_MAX;
}
