import type { Direction, Hole, ProblemCode } from "../../result.ts";
import { diesInFragments, figuresOf, type Picture, type Run, runsOn, type Way } from "./figures.ts";
import { largestFragmentOf } from "./sizes.ts";
import { endOfLast, largestThatFits, largestWholeBack, largestWholeThere } from "./stretches.ts";

/** What is wrong with sizes, before it is put in words. Sizes are of UDP payloads. */
export interface Verdict {
  readonly code: Extract<ProblemCode, "mtu_black_hole" | "fragments_lost" | "size_hole">;
  /** Where it happens as far as can be concluded. */
  readonly way: Way;
  /** As it is said: null where neither a banner nor ICMP told it. */
  readonly direction: Direction | null;
  /** Lost sizes; of a `size_hole` there may be several. */
  readonly lost: readonly [Hole, ...Hole[]];
  /** Whether larger ones pass. */
  readonly isHole: boolean;
  /** Largest payload that passes whole. */
  readonly edge: number;
  /** Largest payload that this machine's interface takes whole. */
  readonly fits: number;
}

/** A path MTU that is under the interface's while everything passes; null of a way of which that is not so. */
export interface Reduced {
  readonly there: number | null;
  readonly back: number | null;
  readonly interfaceMtu: number;
}

/** MTUs of nearly every link there is: where a sender begins to cut by itself. */
const LINK_MTUS = [1500, 9000];

/** A hole that ends where no link does and is wider than this is none of a few odd lengths. */
const ODD_SIZES_MAX = 64;

export function verdictsOf(picture: Picture): Verdict[] {
  const { stretches } = picture;
  const there = runsOn("there", stretches).flatMap((run) => verdictsThere(picture, run));
  const back = runsOn("back", stretches).flatMap((run) => verdictsBack(picture, run));
  const either = runsOn("either", stretches)
    .filter((run) => !run.stretches.some((stretch) => stretch.back === "lost")) // told as the way back's
    .flatMap((run) => verdictsEither(picture, run));
  return [there, back, either].flatMap(withOneOfHoles);
}

/** All holes of a way are one verdict. */
function withOneOfHoles(verdicts: readonly Verdict[]): Verdict[] {
  const [first, ...more] = verdicts.filter(({ code }) => code === "size_hole");
  const others = verdicts.filter(({ code }) => code !== "size_hole");
  if (first === undefined) return others;
  return [...others, { ...first, lost: [first.lost[0], ...more.map(({ lost }) => lost[0])] }];
}

function verdictsThere(picture: Picture, run: Run): Verdict[] {
  const edge = largestWholeThere(picture.stretches);
  const vanishing = run.stretches.filter(({ fits, there }) => fits && there === "lost");
  if (run.isHole) {
    const narrow = run.from === edge + 1 && isNarrowThere(picture, run, edge);
    return [verdict(picture, narrow ? "mtu_black_hole" : "size_hole", "there", run, edge)];
  }
  const verdicts: Verdict[] = [];
  const last = vanishing.at(-1);
  if (last !== undefined) {
    const hole = { ...run, to: picture.ipv6 ? run.to : last.to };
    verdicts.push(verdict(picture, "mtu_black_hole", "there", hole, edge));
  }
  const died = run.stretches.find((stretch) => diesInFragments(stretch, picture.stretches, picture.ipv6));
  if (died !== undefined) {
    verdicts.push(verdict(picture, "fragments_lost", "there", { ...run, from: died.from }, edge));
  }
  return verdicts;
}

/**
 * Whether a hole above the largest whole payload is a narrow path's. Over IPv4 such a path takes without don't-fragment
 * what it swallows with it, and a path with a hole does not. Over IPv6 nobody on the path cuts, but fragments may be
 * small enough, being cut in eights.
 */
function isNarrowThere({ ipv6, headers, stretches }: Picture, run: Run, edge: number): boolean {
  const fits = largestThatFits(stretches);
  if (ipv6) return run.to === fits && largestFragmentOf(fits + headers, ipv6) <= edge + headers;
  return run.stretches.every((stretch) => stretch.fits && stretch.arrived === true);
}

function verdictsBack(picture: Picture, run: Run): Verdict[] {
  const edge = largestWholeBack(picture.stretches);
  const fits = largestThatFits(picture.stretches);
  const isAtEdge = run.from === edge + 1;
  if (run.isHole) {
    const narrow = isAtEdge && isNarrowBack(picture, run, edge, fits);
    return [verdict(picture, narrow ? "mtu_black_hole" : "size_hole", "back", run, edge)];
  }
  // Of IPv4 no more can be told: our own server sets no don't-fragment, so its echoes were cut, and died in fragments.
  const narrow = isAtEdge && picture.ipv6 && edge < fits;
  return [verdict(picture, narrow ? "mtu_black_hole" : "fragments_lost", "back", run, edge)];
}

function verdictsEither(picture: Picture, run: Run): Verdict[] {
  const edge = Math.min(largestWholeThere(picture.stretches), largestWholeBack(picture.stretches));
  const fits = largestThatFits(picture.stretches);
  if (run.isHole) {
    const narrow = run.from === edge + 1 && isNarrowBack(picture, run, edge, fits);
    return [verdict(picture, narrow ? "mtu_black_hole" : "size_hole", "either", run, edge)];
  }
  const verdicts: Verdict[] = [];
  const whole = run.stretches.filter((stretch) => stretch.fits && stretch.there === "either");
  const inFragments = run.stretches.find((stretch) => !stretch.fits || stretch.there === "told");
  const last = whole.at(-1);
  if (last !== undefined) {
    const hole = { ...run, to: picture.ipv6 ? run.to : last.to };
    verdicts.push(verdict(picture, "mtu_black_hole", "either", hole, edge));
  }
  if (inFragments !== undefined && (last === undefined || !picture.ipv6)) {
    verdicts.push(verdict(picture, "fragments_lost", "either", { ...run, from: inFragments.from }, edge));
  }
  return verdicts;
}

/**
 * Whether a hole above the largest whole payload is a narrow path's: no longer packet came, as a fragment neither, and the
 * lost sizes end where a sender begins to cut, and not after some odd lengths.
 */
function isNarrowBack(
  { headers, fragmentBytes }: Picture,
  { from, to }: Run,
  edge: number,
  fits: number,
): boolean {
  const endsLikeALink = to === fits || LINK_MTUS.includes(to + headers) || to - from + 1 > ODD_SIZES_MAX;
  return endsLikeALink && fragmentBytes <= edge + headers;
}

function verdict(
  { banners, stretches }: Picture,
  code: Verdict["code"],
  way: Way,
  { from, to, isHole }: Pick<Run, "from" | "to" | "isHole">,
  edge: number,
): Verdict {
  const direction = banners && way !== "either" ? way : null;
  return { code, way, direction, lost: [[from, to]], isHole, edge, fits: largestThatFits(stretches) };
}

/** What is narrower than the interface and yet passes everything; null where nothing is. */
export function reducedOf(picture: Picture, verdicts: readonly Verdict[]): Reduced | null {
  const figures = figuresOf(picture);
  const interfaceMtu = largestThatFits(picture.stretches) + picture.headers;
  const reduced = (way: "there" | "back"): number | null => {
    const mtu = figures[way];
    const isWell = !verdicts.some((verdict) => verdict.way === way || verdict.way === "either");
    return mtu !== null && mtu < interfaceMtu && isWell ? mtu : null;
  };
  const there = reduced("there");
  const back = reduced("back");
  return there === null && back === null ? null : { there, back, interfaceMtu };
}

/** Largest payload that came back, by whatever means. */
export function largestEcho({ stretches }: Picture): number {
  return endOfLast(stretches, ({ back }) => back === "whole" || back === "cut");
}
