import { printable } from "../../../errors.ts";
import type { Problem } from "../../result.ts";
import { countText, plural } from "../../words.ts";
import type { Words } from "../causes.ts";
import { captureTcp } from "../next.ts";
import { flowOf, shareText } from "../phrases.ts";
import type { FlowSeen, TcpSeen, Wrong } from "./seen.ts";

/** Text that came in place of an echo is shown up to here. */
const SHOWN_CHARACTERS = 40;

/** What is wrong with the bytes that came: a stream is not read on after its first wrong one, so one a session. */
export function answerProblems(seen: TcpSeen): Problem[] {
  const wrong = seen.flows.flatMap((flow) => (flow.wrong === null ? [] : [{ flow, wrong: flow.wrong }]));
  const groups = Map.groupBy(wrong, (each) => each.wrong.what);
  return [...groups].map(([code, group]) => {
    const { flow, wrong: first } = group[0]!;
    const share = shareText(group.length, seen.flows.length, "session");
    return {
      code,
      count: group.length,
      flow: flowOf(seen.asked, flow),
      ...WORDS[code](share, first, seen),
      next: captureTcp(seen.asked.endpoint, flow.own),
    };
  });
}

/** How many sessions got such bytes. */
export function countWrong(flows: readonly FlowSeen[], what: Wrong["what"]): number {
  return flows.filter((flow) => flow.wrong?.what === what).length;
}

const WORDS: Readonly<Record<Wrong["what"], (share: string, first: Wrong, seen: TcpSeen) => Words>> = {
  corrupted: (share, first, seen) => ({
    says: `${share} got changed bytes back: the first is byte ${countText(first.byte + 1)} of ${nameOf(first, seen)}`,
    likely:
      "something on the way or the server changes, drops or adds bytes (a proxy that rewrites, broken memory)",
    where: "path",
  }),
  duplicated: (share, first, seen) => ({
    says: `${share} got an earlier message again in place of ${nameOf(first, seen)}`,
    likely: "the server or a proxy sends bytes twice",
    where: "far_end",
  }),
  foreign: (share, first, seen) => ({
    says: first.crossed
      ? `${share} got what another session of this check had sent, in place of ${nameOf(first, seen)}`
      : `${share} got bytes that were never sent from here, in place of ${nameOf(first, seen)}${shown(first)}`,
    likely: first.crossed
      ? "the server or a proxy mixes up sessions"
      : "another service listens there, or a proxy answers in the server's place",
    where: "far_end",
  }),
};

/** `echo 5 of 20`, `the bulk`, `the tail`: a flow's messages in their order. */
function nameOf({ message }: Wrong, { settings }: TcpSeen): string {
  if (message < settings.count) return `echo ${countText(message + 1)} of ${countText(settings.count)}`;
  return message === settings.count && settings.bulkBytes > 0
    ? `the bulk of ${plural(settings.bulkBytes, "byte")}`
    : "what was sent last";
}

/** The text that came, where it is one. */
function shown({ received }: Wrong): string {
  const text = new TextDecoder().decode(received);
  const line = text.split(/[\r\n]/, 1)[0]!;
  if (line.length < 4 || /[\p{Cc}\uFFFD]/u.test(line)) return "";
  return `: "${printable(line.slice(0, SHOWN_CHARACTERS))}"`;
}
