import { formatAddress } from "../../../net/address.ts";
import { type Endpoint, hostOf } from "../../../net/endpoint.ts";
import type { Note, Problem } from "../../result.ts";
import { countText } from "../../words.ts";
import type { Picture, Way } from "./figures.ts";
import { fragmentData } from "./sizes.ts";
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
  /** The flow that saw a size; null where that is not known. */
  flowOf(size: number): string | null;
}

/** A verdict as it is told. */
export function problemOf(verdict: Verdict, picture: Picture, ends: Ends): Problem {
  const { code, direction, from, to, edge } = verdict;
  const common = {
    flow: ends.flowOf(from) ?? ends.flowOf(to),
    direction,
    where: "path" as const,
    likely: likelyOf(verdict, picture),
    next: nextOf(verdict, picture, ends),
  };
  switch (code) {
    case "mtu_black_hole":
      return { code, mtu: edge + picture.headers, says: blackHoleSays(verdict, picture), ...common };
    case "size_hole":
      return { code, holes: [[from, to]], says: holeSays(verdict), ...common };
    case "fragments_lost":
      return { code, says: fragmentsSay(verdict), ...common };
  }
}

/** How it is told of a way that it was lost there, by the field `direction`. */
function wayText({ direction }: Verdict): string {
  return direction === null || direction === "both" ? WAY.either : WAY[direction];
}

function blackHoleSays(verdict: Verdict, { headers }: Picture): string {
  const { from, to, isHole, edge } = verdict;
  const sizes = isHole ? sizesText(from, to) : `payloads of more than ${countText(from - 1)} bytes`;
  const rest = isHole ? "larger ones pass in fragments; " : "";
  const widest = `the largest packet that passes whole has ${countText(edge + headers)} bytes`;
  return `${sizes} vanish ${wayText(verdict)} and nobody says so; ${rest}${widest}`;
}

function holeSays(verdict: Verdict): string {
  const { from, to } = verdict;
  return `${sizesText(from, to)} are lost ${wayText(verdict)}; smaller and larger ones pass`;
}

function fragmentsSay(verdict: Verdict): string {
  const { from, fits } = verdict;
  const some = from - 1 > fits ? `some smaller ones in fragments do; ` : "";
  return `datagrams of more than ${countText(from - 1)} bytes do not pass ${wayText(verdict)}, as they need fragments; ${some}those that need none pass`;
}

/** `payloads of 1,373 to 1,472 bytes` */
function sizesText(from: number, to: number): string {
  return from === to
    ? `payloads of ${countText(from)} bytes`
    : `payloads of ${countText(from)} to ${countText(to)} bytes`;
}

function likelyOf(verdict: Verdict, picture: Picture): string {
  const { code, way, from, edge } = verdict;
  const mtu = countText(edge + picture.headers);
  switch (code) {
    case "mtu_black_hole": {
      const icmp = picture.ipv6 ? "Packet Too Big" : "fragmentation needed";
      return `a link of ${mtu} bytes ${WAY[way]}, and the ICMP that says so (${icmp}) is filtered`;
    }
    case "size_hole":
      return `something ${WAY[way]} drops ${isOddTail(from, picture) ? "very short last fragments" : "packets of just these lengths"}`;
    case "fragments_lost":
      return `a firewall, a balancer or a tunnel ${WAY[way]} drops fragments`;
  }
}

/** Whether datagrams of that size end in a fragment of one byte or little more. */
function isOddTail(size: number, { headers, ipv6, stretches }: Picture): boolean {
  const fits = stretches.findLast((stretch) => stretch.fits)?.to ?? 0;
  if (size <= fits) return false;
  const inLast = (size + 8) % fragmentData(fits + headers, ipv6);
  return inLast > 0 && inLast <= 8;
}

/** One command that looks further; of the way back one for the far end, since only who sends can see it. */
function nextOf({ code, way, from }: Verdict, picture: Picture, { own, target }: Ends): string {
  const isBack = way === "back";
  const host = isBack && own !== null ? hostOf(own) : hostOf(target);
  const family = picture.ipv6 ? "-6 " : "";
  const fragment = code === "mtu_black_hole" ? "-M do " : picture.ipv6 ? "" : "-M dont ";
  return `ping ${family}${fragment}-c 3 -s ${from} ${host}${isBack ? "  # at the far end" : ""}`;
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

/** What could not be found out, and why. */
export function notMeasured(says: string): Note {
  return { code: "not_measured", says: `path MTU: not measured (${says})` };
}
