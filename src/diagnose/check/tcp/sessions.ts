import type { Failure, FailureCode } from "../../../client/failure.ts";
import type { Problem } from "../../result.ts";
import { listText, timeText } from "../../words.ts";
import type { Cause, Words } from "../causes.ts";
import { captureTcp, logsOf } from "../next.ts";
import { flowOf, rangeText, shareText, were } from "../phrases.ts";
import { type FlowSeen, isAnswered, type TcpSeen } from "./seen.ts";

/** A SYN is acknowledged as a byte is (RFC 9293, 3.4), and counted by tcp_info(7) with the others. */
const SYN_BYTES = 1;

/** What is wrong with sessions that ended, or fell silent, before all their echoes were back. */
export function sessionProblems(seen: TcpSeen): Problem[] {
  const failed = seen.flows.flatMap((flow) =>
    flow.failure !== null && isSession(flow, flow.failure) ? [{ flow, failure: flow.failure }] : [],
  );
  const groups = Map.groupBy(failed, ({ failure }) => endingOf(failure));
  return [...groups].flatMap(([ending, group]) => (ending === null ? [] : [problemOf(seen, ending, group)]));
}

/** Whether there was a session: one may end so soon that its connect is what fails. */
export function isSession({ connectMs }: FlowSeen, { code }: Failure): boolean {
  return connectMs !== null || code === "reset" || code === "closed";
}

interface Failed {
  readonly flow: FlowSeen;
  readonly failure: Failure;
}

type SessionCode = "silent" | "reset" | "closed" | "unreachable";
/** Sessions that the other end closes at once are reset where what was sent had come by then, and closed where not. */
type Ending = SessionCode | "turned_away";

/** What the end of a session is called; a system error that says nothing else has ended it as a reset does. */
const CODES: Readonly<Partial<Record<FailureCode, SessionCode | null>>> = {
  silent: "silent",
  timeout: "silent", // the kernel has sent again for so long that it gave up
  closed: "closed",
  unreachable: "unreachable",
  corrupted: null, // see answers.ts
};

function codeOf({ code }: Failure): SessionCode | null {
  const known = CODES[code];
  return known === undefined ? "reset" : known;
}

function endingOf(failure: Failure): Ending | null {
  const code = codeOf(failure);
  return failure.bytes === 0 && (code === "reset" || code === "closed") ? "turned_away" : code;
}

function problemOf(seen: TcpSeen, ending: Ending, group: readonly Failed[]): Problem {
  const { flow, failure } = group[0]!;
  const someClosed = group.some((each) => codeOf(each.failure) === "closed");
  const code = ending === "turned_away" ? (someClosed ? "closed" : "reset") : ending;
  const facts = code === "unreachable" ? { by: null } : code === "silent" ? {} : { bytes: failure.bytes };
  const words = code === "silent" ? silentWords(seen, group) : endedWords(seen, code, group);
  const capture = captureTcp(seen.asked.endpoint, flow.own);
  const next = words.where === "path" ? capture : (logsOf(flow.banner) ?? capture);
  return { code, ...facts, flow: flowOf(seen.asked, flow), ...words, next };
}

function silentWords(seen: TcpSeen, group: readonly Failed[]): Words {
  const total = seen.flows.length;
  const stalled = group.filter(({ failure }) => failure.bytes > 0);
  const greeted = group.filter(({ flow, failure }) => failure.bytes === 0 && flow.banner !== null);
  const mute = group.length - stalled.length - greeted.length;
  const share = (count: number): string => shareText(count, total, "session");
  const parts: string[] = [];
  if (mute > 0) parts.push(`${share(mute)} connected, then neither banner nor echo came`);
  if (greeted.length > 0) parts.push(`${share(greeted.length)} got a banner and no echo`);
  if (stalled.length > 0)
    parts.push(`${share(stalled.length)} fell silent after ${bytesText(stalled)} echoed bytes`);
  const says = `${listText(parts)} in ${timeText(seen.settings.timeoutMs)}`;
  return { says, ...silentCause(seen, group, { mute, stalled: stalled.length }) };
}

/** @param counts sessions that told nothing at all, and those that had echoes before */
function silentCause(
  seen: TcpSeen,
  group: readonly Failed[],
  { mute, stalled }: { readonly mute: number; readonly stalled: number },
): Cause {
  if (group.every(isUnheard)) {
    const there = "what was sent last does not arrive: the far end acknowledges none of it";
    return { likely: `${there} (the way has broken, or lets no such sizes pass)`, where: "path" };
  }
  if (mute === 0 && stalled > 0) {
    return { likely: "the server hangs or has died, or the way to it has broken", where: "far_end" };
  }
  const likely =
    mute > 0
      ? "the server is stopped or hangs (the kernel accepts for it), or a proxy has accepted for one that is not there"
      : "the server hangs after its banner";
  return { likely: seen.flows.some(isAnswered) ? `one backend: ${likely}` : likely, where: "far_end" };
}

/** Echoed bytes by the end of each: `64`, `64 to 1,280`. */
function bytesText(group: readonly Failed[]): string {
  const bytes = group.map(({ failure }) => failure.bytes);
  return rangeText(Math.min(...bytes), Math.max(...bytes));
}

/** Whether the far end's kernel, which acknowledges for a server that hangs, got nothing of what has no echo. */
function isUnheard({ flow: { info, retransmits }, failure }: Failed): boolean {
  const acknowledged = info?.acknowledgedBytes ?? null;
  return acknowledged !== null && acknowledged <= failure.bytes + SYN_BYTES && (retransmits ?? 0) > 0;
}

/** How sessions ended, in words. */
function endText(code: Exclude<SessionCode, "silent">, group: readonly Failed[]): string {
  if (code === "unreachable") return "broken by an ICMP message";
  if (code === "reset") return "reset";
  const anyReset = group.some(({ failure }) => codeOf(failure) === "reset");
  return `closed${anyReset ? " or reset" : ""} by the other end`;
}

function endedWords(seen: TcpSeen, code: Exclude<SessionCode, "silent">, group: readonly Failed[]): Words {
  const detail = group[0]!.failure.detail;
  const word =
    code === "reset" && detail !== "" && detail !== "ECONNRESET" && detail !== "EPIPE" ? ` (${detail})` : "";
  const share = shareText(group.length, seen.flows.length, "session");
  const says = `${share} ${were(group.length)} ${endText(code, group)} after ${bytesText(group)} echoed bytes${word}`;
  if (code === "unreachable") {
    return { says, likely: "the host or a link on the way went down", where: "path" };
  }
  const atOnce = group.every(({ failure }) => failure.bytes === 0);
  const likely = atOnce
    ? "the server or a proxy turns newcomers away (a limit, a drain, no backend), or it is no echo server"
    : "the server or a proxy on the way ends sessions early (a restart, a drain, a limit of time or bytes)";
  return { says, likely, where: "far_end" };
}
