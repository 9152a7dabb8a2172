import type { Quantiles } from "../../client/round-trips.ts";
import { align } from "../layout.ts";
import type { CheckResult, MtuResult, ServerSeen } from "../result.ts";
import { countText, listText, plural, timeText } from "../words.ts";
import { rangeText } from "./phrases.ts";

/** What was found out of one address by one protocol, in words. Figures that were not measured are not among them. */

const QUANTILES = ["min", "p50", "p99", "max"] as const satisfies (keyof Quantiles)[];

const WRONG = ["duplicated", "reordered", "corrupted", "foreign"] as const satisfies (keyof CheckResult)[];

/** Some lines under one word. */
export interface Fact {
  readonly label: string;
  /** Texts, each to be wrapped; a table's lines stay as they are. */
  readonly lines: readonly string[];
  readonly isTable?: true;
}

/** More servers than these are told of by their number. */
const SERVERS_TOLD = 12;

/** From this time on a column of times is in seconds. */
const SECONDS_FROM_MS = 10_000;

/** All that is known, in the order of the report. */
export function factsOf(result: CheckResult): Fact[] {
  return [
    resolved(result),
    answered(result),
    translation(result),
    times(result),
    counts(result),
    bulk(result),
    connection(result),
    hops(result),
    mtu(result),
  ].filter((fact) => fact !== null);
}

/** Five seconds here are a lost packet between this machine and its name server. */
function resolved({ name, address, resolveMs }: CheckResult): Fact | null {
  if (address === null || resolveMs === null) return null;
  return { label: "resolved", lines: [`${name} to ${address} in ${timeText(resolveMs)}`] };
}

function answered({ servers, flows }: CheckResult): Fact | null {
  if (servers === null || servers.length === 0) return null;
  const told = servers.slice(0, SERVERS_TOLD);
  const lines = told.map(
    (server) => `${whoText(server)}: ${countText(server.flows)} of ${plural(flows, "flow")}`,
  );
  const others = servers.slice(SERVERS_TOLD);
  const flowsOfOthers = others.reduce((sum, server) => sum + server.flows, 0);
  if (others.length > 0)
    lines.push(`${plural(others.length, "other server")}: ${plural(flowsOfOthers, "flow")}`);
  return { label: "answered", lines };
}

/** `server1-abc on node1, 10.244.1.2:5678` */
function whoText({ server, pod, node }: ServerSeen): string {
  const where = node === null ? "" : ` on ${node}`;
  const place = pod === null && node === null ? [] : [`${pod ?? "a server"}${where}`];
  return [...place, server ?? "who did not say"].join(", ");
}

/** One line where nothing is changed on the way; else the notes say what is. */
function translation({ source, destination, notes }: CheckResult): Fact | null {
  const says = notes.filter(isTranslation).map((note) => note.says);
  if (says.length > 0) return { label: "translation", lines: says };
  const { own, addressTranslated, portTranslated } = source;
  if (addressTranslated !== false || portTranslated !== false || destination.translated !== false)
    return null;
  const ends = own === null ? "both ends" : `${own} was seen as itself, and ${destination.asked}`;
  return { label: "translation", lines: [`none: ${ends} answered as itself`] };
}

/** The notes that `factsOf` tells. */
export function isTranslation({ code }: CheckResult["notes"][number]): boolean {
  return code === "source_translated" || code === "destination_translated";
}

function times({ connectMs, firstByteMs, rttMs }: CheckResult): Fact | null {
  const measured = [
    ["connect", connectMs],
    ["first byte", firstByteMs],
    ["round trip", rttMs],
  ] as const;
  const rows = measured.flatMap(([name, times]) => (times === null ? [] : [{ name, times }]));
  if (rows.length === 0) return null;
  const names = ["", ...rows.map(({ name }) => name)];
  const figures = QUANTILES.map((quantile) =>
    column(
      quantile,
      rows.map(({ times }) => times[quantile]),
    ),
  );
  const table = names.map((name, at) => [name, ...figures.map((cells) => cells[at]!)]);
  return { label: "times", lines: align(table), isTable: true };
}

/** A column of times: its head with the unit that all of them have, and each with as many digits as the smallest needs. */
function column(name: string, times: readonly number[]): string[] {
  const long = Math.max(...times) >= SECONDS_FROM_MS;
  const values = long ? times.map((ms) => ms / 1000) : times;
  const least = Math.min(...values);
  const digits = least < 1 ? (least < 0.1 ? 3 : 2) : least < 100 ? 1 : 0;
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return [`${name} ${long ? "s" : "ms"}`, ...values.map((value) => value.toLocaleString("en-US", format))];
}

function counts(result: CheckResult): Fact | null {
  const { protocol, flows, flowsAnswered, sent, received, lost } = result;
  if (sent === 0) return null;
  // Of a stream these cannot be, but where something is much amiss.
  const always = protocol === "udp";
  const wrong = WRONG.flatMap((name) =>
    always || result[name] > 0 ? [`${countText(result[name])} ${name}`] : [],
  );
  const parts = [`${countText(sent)} sent`, `${countText(received)} came back`];
  if (always || lost > 0) parts.push(`${countText(lost)} lost`);
  const lines = [[...parts, ...wrong].join(", ")];
  // Where none was answered, its problem says so.
  const unanswered = flowsAnswered === 0 ? 0 : flows - flowsAnswered;
  if (unanswered > 0) lines.push(`${countText(unanswered)} of ${plural(flows, "flow")} got no answer`);
  return { label: protocol === "udp" ? "datagrams" : "messages", lines };
}

const TAILS = {
  whole: "after a half-close came all the rest, then the end",
  cut: "after a half-close the rest was cut off",
  no_end: "after a half-close came all the rest, and no end",
} as const;

function bulk({ bulkBytes, halfClose }: CheckResult): Fact | null {
  const parts = [
    ...(bulkBytes === null ? [] : [`${plural(bulkBytes, "byte")} at once came back`]),
    ...(halfClose === null ? [] : [TAILS[halfClose]]),
  ];
  return parts.length === 0 ? null : { label: "bulk", lines: [parts.join("; ")] };
}

function connection({ tcp, synRetransmits: syns }: CheckResult): Fact | null {
  const again = [
    ...(syns === null ? [] : [plural(syns, "SYN")]),
    ...(tcp === null ? [] : [plural(tcp.retransmits, "segment")]),
  ];
  const parts = [
    ...(tcp === null ? [] : [`MSS ${plural(tcp.mss, "byte")}`]),
    ...(again.length === 0 ? [] : [`sent again: ${again.join(", ")}`]),
    ...(tcp === null ? [] : [`the kernel's round trip ${timeText(tcp.kernelRttMs)}`]),
  ];
  return parts.length === 0 ? null : { label: "connection", lines: [parts.join("; ")] };
}

function hops({ hops }: CheckResult): Fact | null {
  return hops === null ? null : { label: "hops back", lines: [`at least ${countText(hops.back)}`] };
}

function mtu({ mtu, protocol }: CheckResult): Fact | null {
  if (mtu === null) return null;
  const lines = [
    waysText([mtu.there, mtu.back], (bytes) => countText(bytes), "path MTU "),
    protocol === "udp"
      ? waysText([mtu.largestThere, mtu.largestBack], (bytes) => plural(bytes, "byte"), "largest datagram ")
      : null,
    fragmentsText(mtu),
    holesText(mtu),
  ].filter((line) => line !== null);
  return lines.length === 0 ? null : { label: "sizes", lines };
}

/** `path MTU 1,400 there, 1,500 back`; null where neither is known. */
function waysText(
  [there, back]: readonly [number | null, number | null],
  text: (value: number) => string,
  head: string,
): string | null {
  const ways = [
    ...(there === null ? [] : [`${text(there)} there`]),
    ...(back === null ? [] : [`${text(back)} back`]),
  ];
  return ways.length === 0 ? null : head + ways.join(", ");
}

function fragmentsText({ fragmentsThere: there, fragmentsBack: back }: MtuResult): string | null {
  const ways = [
    ["there", there],
    ["back", back],
  ] as const;
  const named = (passes: boolean): string[] => ways.filter(([, way]) => way === passes).map(([name]) => name);
  const parts = [
    ...(named(true).length === 0 ? [] : [`pass ${listText(named(true))}`]),
    ...(named(false).length === 0 ? [] : [`do not pass ${listText(named(false))}`]),
  ];
  return parts.length === 0 ? null : `fragments ${parts.join(", ")}`;
}

function holesText({ holesThere, holesBack }: MtuResult): string | null {
  const ways = [
    ["there", holesThere],
    ["back", holesBack],
  ] as const;
  const parts = ways.flatMap(([name, holes]) =>
    holes === null || holes.length === 0
      ? []
      : [`${name} ${listText(holes.map(([from, to]) => rangeText(from, to)))}`],
  );
  return parts.length === 0 ? null : `datagrams that vanish: ${parts.join("; ")} bytes`;
}
