import type { Hole, MtuResult } from "../../result.ts";
import { SIZE_MAX, type Told } from "./look.ts";
import {
  endOfLast,
  largestThatFits,
  largestWholeBack,
  largestWholeThere,
  type PathKind,
  type Stretch,
} from "./stretches.ts";

/** The whole of what was seen of a path. */
export interface Picture extends PathKind {
  /** All sizes, in their order, none between two stretches. */
  readonly stretches: readonly Stretch[];
  /** Whether the server sends banners, so that which way lost something is known. */
  readonly banners: boolean;
  /** Whether this machine says of a datagram that it came in fragments. */
  readonly tellsFragments: boolean;
  /** IP packet bytes of the largest fragment that came; 0 where none did. */
  readonly fragmentBytes: number;
  /** The lowest MTU that ICMP told. */
  readonly told: Told | null;
}

/** The way there, the way back, or one of the two. */
export type Way = "there" | "back" | "either";

/** Whether datagrams of these sizes are lost on that way, as a plain program sends them: cut where it knows that it must. */
function isLostOn(way: Way, { there, arrived, back }: Stretch): boolean {
  switch (way) {
    case "there":
      return there === "lost" || (there === "told" && arrived === false);
    case "back":
      return back === "lost";
    case "either":
      return there === "either" || (there === "told" && arrived === null);
  }
}

function passesOn(way: Way, stretch: Stretch): boolean {
  const { there, arrived, back } = stretch;
  const passesThere = there === "passed" || (there === "told" && arrived === true);
  const passesBack = back === "whole" || back === "cut";
  return way === "there" ? passesThere : way === "back" ? passesBack : passesThere && passesBack;
}

/** Stretches that follow each other and are all lost on that way. */
export interface Run {
  readonly stretches: readonly Stretch[];
  readonly from: number;
  readonly to: number;
  /** Whether larger ones pass: then it is a hole, else there is an end to what passes. */
  readonly isHole: boolean;
}

export function runsOn(way: Way, stretches: readonly Stretch[]): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < stretches.length; at++) {
    if (!isLostOn(way, stretches[at]!)) continue;
    const start = at;
    while (at + 1 < stretches.length && isLostOn(way, stretches[at + 1]!)) at++;
    const isHole = stretches.slice(at + 1).some((stretch) => passesOn(way, stretch));
    const lost = stretches.slice(start, at + 1);
    runs.push({ stretches: lost, from: lost[0]!.from, to: lost.at(-1)!.to, isHole });
  }
  return runs;
}

/**
 * What is lost on the one way or the other, given to the way back where the fragments say so: those of larger echoes
 * are as long as the longest packet that comes whole, so that is where the way back narrows.
 */
export function attribute(picture: Picture): Picture {
  const edge = largestWholeBack(picture.stretches);
  const fits = largestThatFits(picture.stretches);
  const first = picture.stretches.findIndex(({ from }) => from === edge + 1);
  // Fragments as long as those of a link that takes what this machine's takes say nothing of a narrower one.
  const narrow = edge < fits && comesCutAt(picture, edge) && !comesCutAt(picture, fits);
  if (first === -1 || !narrow) return picture;
  const stretches = [...picture.stretches];
  for (let at = first; stretches[at]?.there === "either"; at++) {
    // It arrived, or nothing could have been lost on the way back; don't-fragment or not is not known.
    stretches[at] = { ...stretches[at]!, back: "lost" };
  }
  return { ...picture, stretches };
}

/** Whether fragments came that are as long as a path takes whose largest whole payload is that: cut in eights. */
function comesCutAt({ fragmentBytes, headers }: Picture, edge: number): boolean {
  return fragmentBytes <= edge + headers && edge + headers < fragmentBytes + 8;
}

/** The figures of a path; null where one could not be found out. */
export function figuresOf(picture: Picture): MtuResult {
  const { stretches } = picture;
  const holesThere = holesOn("there", stretches);
  const holesBack = holesOn("back", stretches);
  const isNobodys = runsOn("either", stretches).some(
    ({ isHole, stretches: lost }) => isHole && lost.some(({ back }) => back !== "lost"),
  );
  return {
    there: thereMtu(picture),
    back: picture.tellsFragments ? backMtu(picture) : null,
    largestThere: largestOn("there", stretches),
    largestBack: largestOn("back", stretches),
    holesThere: isNobodys ? null : holesThere,
    holesBack: isNobodys ? null : holesBack,
    fragmentsThere: fragmentsThere(picture),
    fragmentsBack: picture.tellsFragments ? fragmentsBack(picture) : null,
  };
}

/** The largest IP packet that arrives whole; null where the next one was lost on nobody knows which way. */
function thereMtu({ stretches, headers }: Picture): number | null {
  const edge = largestWholeThere(stretches);
  const next = stretches.find(({ from }) => from > edge);
  const isKnown = next === undefined || !next.fits || next.there !== "either";
  return edge > 0 && isKnown ? edge + headers : null;
}

/** The largest IP packet that comes whole; null where the next one did not arrive, or was lost on nobody knows which way. */
function backMtu({ stretches, headers }: Picture): number | null {
  const edge = largestWholeBack(stretches);
  const next = stretches.find(({ from }) => from > edge);
  const isSeen = next === undefined || next.back === "cut" || next.back === "lost";
  // More than its interface takes this machine would hardly get whole.
  const isKnown = isSeen || edge === largestThatFits(stretches);
  return edge > 0 && isKnown ? edge + headers : null;
}

/** The largest payload that passes; null where the next one may have passed. */
function largestOn(way: "there" | "back", stretches: readonly Stretch[]): number | null {
  const arrives = (stretch: Stretch): boolean =>
    way === "there" ? stretch.arrived === true : passesOn("back", stretch);
  const edge = endOfLast(stretches, arrives);
  const next = stretches.find(({ from }) => from > edge);
  if (edge === SIZE_MAX) return edge;
  return next !== undefined && isLostOn(way, next) ? edge : null;
}

function holesOn(way: Way, stretches: readonly Stretch[]): Hole[] {
  return runsOn(way, stretches)
    .filter(({ isHole }) => isHole)
    .map(({ from, to }) => [from, to]);
}

/** Whether datagrams in fragments arrive; null where none could be seen to arrive or to die. */
function fragmentsThere({ stretches, ipv6 }: Picture): boolean | null {
  const needFragments = stretches.filter(({ fits, there }) => !fits || there !== "passed");
  if (needFragments.some(({ arrived }) => arrived === true)) return true;
  return needFragments.some((stretch) => diesInFragments(stretch, stretches, ipv6)) ? false : null;
}

/**
 * Whether a stretch is of datagrams that were sent in fragments, and died on the way there. Over IPv6 a path that is
 * narrower than anybody says swallows them too, being cut to the interface's size.
 */
export function diesInFragments(
  { fits, there, arrived }: Stretch,
  stretches: readonly Stretch[],
  ipv6: boolean,
): boolean {
  if (arrived !== false) return false;
  if (there === "told") return true;
  return !fits && !(ipv6 && isBlackHoleThere(stretches));
}

function isBlackHoleThere(stretches: readonly Stretch[]): boolean {
  const edge = largestWholeThere(stretches);
  return stretches.some(({ from, fits, there }) => from > edge && fits && there === "lost");
}

function fragmentsBack({ stretches, ipv6 }: Picture): boolean | null {
  if (stretches.some(({ back }) => back === "cut")) return true;
  const edge = largestWholeBack(stretches);
  const narrow = edge < largestThatFits(stretches);
  const died = stretches.some(({ from, back }) => from > edge && back === "lost");
  return died && !(ipv6 && narrow) ? false : null;
}
