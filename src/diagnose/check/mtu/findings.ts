import type { MtuResult, Note, Problem } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import { notMeasured } from "../unmeasured.ts";
import { attribute, figuresOf, type Picture } from "./figures.ts";
import { arrivedOf, SIZE_MAX } from "./look.ts";
import type { Loss } from "./loss.ts";
import { lowestTold, type PathKind, stretchesOf } from "./stretches.ts";
import type { Swept } from "./sweep.ts";
import { largestEcho, reducedOf, verdictsOf } from "./verdicts.ts";
import { type Ends, problemOf, reducedNote } from "./words.ts";

/** What was found out about the sizes that pass. */
export interface MtuFindings {
  readonly mtu: MtuResult | null;
  readonly problems: readonly Problem[];
  readonly notes: readonly Note[];
}

/** What the far end and this machine tell of datagrams. */
interface Teller {
  /** Whether the server sends banners. */
  readonly banners: boolean;
  /** Whether this machine says of a datagram that it came in fragments. */
  readonly tellsFragments: boolean;
}

/** Judges a path by all sizes that were looked at. */
export function findingsOf(
  { known, measurableUpTo, loss }: Swept,
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
    notes: [
      ...(reduced === null ? [] : [reducedNote(reduced, picture)]),
      ...unmeasured(picture, measurableUpTo, loss),
    ],
  };
}

function unmeasured(picture: Picture, measurableUpTo: number, { packets, lost }: Loss): Note[] {
  const notes: Note[] = [];
  if (measurableUpTo < SIZE_MAX) {
    const what = `sizes of more than ${plural(measurableUpTo, "byte")}`;
    const share = `${countText(lost)} of ${countText(packets)}`;
    notes.push(notMeasured(what, `the path loses packets at random, about ${share}`));
  }
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
