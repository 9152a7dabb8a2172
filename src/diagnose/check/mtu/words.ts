import { formatAddress } from "../../../net/address.ts";
import { type Endpoint, hostOf } from "../../../net/endpoint.ts";
import type { Hole, Note, Problem } from "../../result.ts";
import { countText } from "../../words.ts";
import { rangeText, someText } from "../phrases.ts";
import type { Picture, Way } from "./figures.ts";
import { UDP_HEADER } from "./look.ts";
import { fragmentData } from "./sizes.ts";
import { largestThatFits } from "./stretches.ts";
import type { Reduced, Verdict } from "./verdicts.ts";

const WAY: Readonly<Record<Way, string>> = {
  there: "on the way there",
  back: "on the way back",
  either: "on the way there or back",
};

/** Whose sizes these are. */
export interface Ends {
  /** This end's address; null where it is not known. */
  readonly own: Endpoint | null;
  readonly target: Endpoint;
  /** The flow that tried a size, of fragments or whole; null where none did. */
  flowOf(size: number, isCut: boolean): string | null;
}

/** A verdict as it is told. */
export function problemOf(verdict: Verdict, picture: Picture, ends: Ends): Problem {
  const { code, direction, lost, edge } = verdict;
  const common = {
    flow: ends.flowOf(lost[0][0], code === "fragments_lost"),
    direction,
    where: "path" as const,
    likely: likelyOf(verdict, picture),
    next: nextOf(verdict, picture, ends),
  };
  switch (code) {
    case "mtu_black_hole":
      return { code, mtu: edge + picture.headers, says: blackHoleSays(verdict, picture), ...common };
    case "size_hole":
      return { code, holes: lost, says: holeSays(verdict), ...common };
    case "fragments_lost":
      return { code, says: fragmentsSay(verdict), ...common };
  }
}

/** How it is told of a way that it was lost there, by the field `direction`. */
function wayText({ direction }: Verdict): string {
  return direction === null || direction === "both" ? WAY.either : WAY[direction];
}

function blackHoleSays(verdict: Verdict, { headers }: Picture): string {
  const { lost, isHole, edge } = verdict;
  const sizes = isHole ? sizesText(lost) : `payloads of more than ${countText(lost[0][0] - 1)} bytes`;
  const rest = isHole ? "larger ones pass in fragments; " : "";
  const widest = `the largest packet that passes whole has ${countText(edge + headers)} bytes`;
  return `${sizes} vanish ${wayText(verdict)} and nobody says so; ${rest}${widest}`;
}

function holeSays(verdict: Verdict): string {
  return `${sizesText(verdict.lost)} are lost ${wayText(verdict)}; smaller and larger ones pass`;
}

function fragmentsSay(verdict: Verdict): string {
  const largest = verdict.lost[0][0] - 1;
  const some = largest > verdict.fits ? "some smaller ones in fragments do; " : "";
  const says = `datagrams of more than ${countText(largest)} bytes do not pass ${wayText(verdict)}, as they need fragments`;
  return `${says}; ${some}those that need none pass`;
}

/** `payloads of 1,373 to 1,472 bytes` */
function sizesText(lost: readonly Hole[]): string {
  const ranges = lost.map(([from, to]) => rangeText(from, to));
  return `payloads of ${someText(ranges)} bytes`;
}

function likelyOf(verdict: Verdict, picture: Picture): string {
  const { code, way, lost, edge } = verdict;
  const mtu = countText(edge + picture.headers);
  switch (code) {
    case "mtu_black_hole": {
      const icmp = picture.ipv6 ? "Packet Too Big" : "fragmentation needed";
      return `a link of ${mtu} bytes ${WAY[way]}, and the ICMP that says so (${icmp}) is filtered`;
    }
    case "size_hole": {
      const areTails = lost.every(([from]) => isOddTail(from, picture));
      const what = areTails ? "very short last fragments" : "packets of just these lengths";
      return `something ${WAY[way]} drops ${what}`;
    }
    case "fragments_lost":
      return `a firewall, a balancer or a tunnel ${WAY[way]} drops fragments`;
  }
}

/** Whether datagrams of that size end in a fragment of one byte or little more. */
function isOddTail(size: number, { headers, ipv6, stretches }: Picture): boolean {
  const fits = largestThatFits(stretches);
  if (size <= fits) return false;
  const inLast = (size + UDP_HEADER) % fragmentData(fits + headers, ipv6);
  return inLast > 0 && inLast <= 8;
}

/** One command that looks further; of the way back one for the far end, since only who sends can see it. */
function nextOf({ code, way, lost }: Verdict, picture: Picture, { own, target }: Ends): string {
  const isBack = way === "back";
  const host = isBack && own !== null ? hostOf(own) : hostOf(target);
  const family = picture.ipv6 ? "-6 " : "";
  const fragment = code === "mtu_black_hole" ? "-M do " : picture.ipv6 ? "" : "-M dont ";
  return `ping ${family}${fragment}-c 3 -s ${lost[0][0]} ${host}${isBack ? "  # at the far end" : ""}`;
}

/** A narrow path that passes everything. */
export function reducedNote({ there, back, interfaceMtu }: Reduced, { told }: Picture): Note {
  const direction = there !== null && back !== null ? "both" : there !== null ? "there" : "back";
  const mtu = Math.min(there ?? interfaceMtu, back ?? interfaceMtu);
  const interfaceText = `the interface has ${countText(interfaceMtu)}; larger ones pass in fragments`;
  const by = told !== null && there !== null ? ` (${formatAddress(told.by)} says so)` : "";
  return { code: "mtu_reduced", direction, mtu, says: `${narrowText(there, back)}${by}, ${interfaceText}` };
}

function narrowText(there: number | null, back: number | null): string {
  if (there === back) return `${countText(there!)} bytes each way`;
  const parts = [
    ...(there === null ? [] : [`${countText(there)} bytes ${WAY.there}`]),
    ...(back === null ? [] : [`${countText(back)} bytes ${WAY.back}`]),
  ];
  return parts.join(", ");
}
