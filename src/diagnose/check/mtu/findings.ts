import type { MtuResult, Note, Problem } from "../../result.ts";
import { countText } from "../../words.ts";
import { attribute, figuresOf, type Picture } from "./figures.ts";
import { arrivedOf, type Sized } from "./look.ts";
import { lowestTold, type PathKind, stretchesOf } from "./stretches.ts";
import { largestEcho, reducedOf, verdictsOf } from "./verdicts.ts";
import { type Ends, notMeasured, problemOf, reducedNote } from "./words.ts";

/** What was found out about the sizes that pass. */
export interface MtuFindings {
  readonly mtu: MtuResult | null;
  readonly problems: readonly Problem[];
  readonly notes: readonly Note[];
}

/** What the far end and this machine tell of datagrams. */
export interface Teller {
  /** Whether the server sends banners. */
  readonly banners: boolean;
  /** Whether this machine says of a datagram that it came in fragments. */
  readonly tellsFragments: boolean;
}

/** Judges a path by all sizes that were looked at. */
export function findingsOf(
  known: ReadonlyMap<number, Sized>,
  kind: PathKind,
  teller: Teller,
  ends: Omit<Ends, "flowOf">,
): MtuFindings {
  const sizes = [...known.values()];
  const picture = attribute({
    ...kind,
    ...teller,
    stretches: stretchesOf(sizes, kind),
    fragmentBytes: Math.max(0, ...sizes.map((sized) => arrivedOf(sized)?.fragmentBytes ?? 0)),
    told: lowestTold(sizes),
  });
  const flowOf = (size: number, isCut: boolean): string | null => {
    const { whole, cuttable } = known.get(size)!;
    const [first, second] = isCut ? [cuttable, whole] : [whole, cuttable];
    return first?.flow ?? second?.flow ?? null;
  };
  const verdicts = verdictsOf(picture);
  const reduced = reducedOf(picture, verdicts);
  return {
    mtu: figuresOf(picture),
    problems: verdicts.map((verdict) => problemOf(verdict, picture, { ...ends, flowOf })),
    notes: [...(reduced === null ? [] : [reducedNote(reduced, picture)]), ...unmeasured(picture)],
  };
}

function unmeasured(picture: Picture): Note[] {
  const notes: Note[] = [];
  if (picture.stretches.some(({ back }) => back === "shortened")) {
    const largest = countText(largestEcho(picture));
    notes.push(
      notMeasured(`larger echoes than ${largest} bytes`, "the far end sends no more of a datagram back"),
    );
  }
  if (!picture.tellsFragments) {
    notes.push(notMeasured("path MTU back", "this kernel does not tell what came in fragments"));
  }
  return notes;
}
