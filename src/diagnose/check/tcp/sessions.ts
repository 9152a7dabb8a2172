import type { Failure, FailureCode } from "../../../client/failure.ts";
import type { Problem } from "../../result.ts";
import { countText, listText, timeText } from "../../words.ts";
import { captureCommand, logsCommand } from "./next.ts";
import { flowOf, rangeText, shareText, were } from "./phrases.ts";
import { type FlowSeen, isAnswered, type TcpSeen } from "./seen.ts";

/** What is wrong with sessions that were connected and ended, or fell silent, before all their echoes were back. */
export function sessionProblems(seen: TcpSeen): Problem[] {
  const failed = seen.flows.flatMap((flow) =>
    flow.failure !== null && flow.connectMs !== null ? [{ flow, failure: flow.failure }] : [],
  );
  const groups = Map.groupBy(failed, ({ failure }) => codeOf(failure));
  return [...groups].flatMap(([code, group]) => (code === null ? [] : [problemOf(seen, code, group)]));
}

interface Failed {
  readonly flow: FlowSeen;
  readonly failure: Failure;
}

type SessionCode = "silent" | "reset" | "closed" | "unreachable";

/** What the end of a session is called; a system error that says nothing else has ended it as a reset does. */
const CODES: Readonly<Partial<Record<FailureCode, SessionCode | null>>> = {
  silent: "silent",
  timeout: "silent", // the kernel has sent again for so long that it gave up
  closed: "closed",
  unreachable: "unreachable",
  corrupted: null, // see wrong-bytes.ts
};

function codeOf({ code }: Failure): SessionCode | null {
  const known = CODES[code];
  return known === undefined ? "reset" : known;
}

function problemOf(seen: TcpSeen, code: SessionCode, group: readonly Failed[]): Problem {
  const { flow, failure } = group[0]!;
  const facts = code === "unreachable" ? { by: null } : code === "silent" ? {} : { bytes: failure.bytes };
  const words = code === "silent" ? silentWords(seen, group) : endedWords(seen, code, group);
  const next = logsCommand(flow) ?? captureCommand(seen.asked.endpoint, flow.own);
  return { code, ...facts, flow: flowOf(seen.asked, flow), ...words, next };
}

type Words = Pick<Problem, "says" | "likely" | "where">;

function silentWords(seen: TcpSeen, group: readonly Failed[]): Words {
  const total = seen.flows.length;
  const patience = timeText(seen.settings.timeoutMs);
  const stalled = group.filter(({ failure }) => failure.bytes > 0);
  const greeted = group.filter(({ flow, failure }) => failure.bytes === 0 && flow.banner !== null);
  const mute = group.length - stalled.length - greeted.length;
  const parts: string[] = [];
  if (mute > 0)
    parts.push(`${shareText(mute, total, "session")} connected, then neither banner nor echo came`);
  if (greeted.length > 0)
    parts.push(`${shareText(greeted.length, total, "session")} got a banner and no echo`);
  if (stalled.length > 0) {
    const bytes = rangeText(stalled.map(({ failure }) => failure.bytes));
    parts.push(`${shareText(stalled.length, total, "session")} fell silent after ${bytes} echoed bytes`);
  }
  const says = `${listText(parts)} in ${patience}`;
  if (mute === 0 && stalled.length > 0) {
    return { says, likely: "the server hangs or has died, or the way to it has broken", where: "far_end" };
  }
  const likely =
    mute > 0
      ? "the server is stopped or hangs (the kernel accepts for it), or a proxy has accepted for one that is not there"
      : "the server hangs after its banner";
  return { says, likely: seen.flows.some(isAnswered) ? `one backend: ${likely}` : likely, where: "far_end" };
}

const ENDED = {
  reset: "reset",
  closed: "closed by the other end",
  unreachable: "broken by an ICMP message",
} as const;

function endedWords(seen: TcpSeen, code: Exclude<SessionCode, "silent">, group: readonly Failed[]): Words {
  const bytes = group.map(({ failure }) => failure.bytes);
  const detail = group[0]!.failure.detail;
  const word =
    code === "reset" && detail !== "" && detail !== "ECONNRESET" && detail !== "EPIPE" ? ` (${detail})` : "";
  const share = shareText(group.length, seen.flows.length, "session");
  const says = `${share} ${were(group.length)} ${ENDED[code]} after ${rangeText(bytes)} echoed bytes${word}`;
  if (code === "unreachable") {
    return { says, likely: "the host or a link on the way went down", where: "path" };
  }
  const atOnce = bytes.every((count) => count === 0);
  const likely = atOnce
    ? "the server or a proxy turns newcomers away (a limit, a drain, no backend), or it is no echo server"
    : "the server or a proxy on the way ends sessions early (a restart, a drain, a limit of time or bytes)";
  return { says, likely, where: "far_end" };
}

/** `5 of 200 echoes` */
export function echoesText(count: number, sent: number): string {
  return `${countText(count)} of ${countText(sent)} echo${sent === 1 ? "" : "es"}`;
}
