import { WIDTH, wrap } from "../layout.ts";
import type { EventLine } from "./line.ts";

/** The longest name of a probe, and of an event. */
const FLOW_WIDTH = "udp-connected".length;
const EVENT_WIDTH = "translation".length;

/** Where what is said of a line begins. */
const INDENT = " ".repeat("12:34:56.789  ".length);

/** A cause that was said of one flow is not said again of the others, which have it a moment later. */
const SAME_CAUSE_SECONDS = 5;

/** Lines for a person, each as the one before it lets it be short. */
export class EventTexts {
  readonly #withTarget: boolean;
  #cause = "";
  #causeAt = Number.NEGATIVE_INFINITY;

  /** @param withTarget there are several */
  constructor(withTarget: boolean) {
    this.#withTarget = withTarget;
  }

  /**
   * `12:34:56.789  udp-fixed      back         silent for 3.42 s, 34 lost; ...`, and of what is wrong the likely cause, what
   * to do next and the flow's ends below it.
   */
  of(line: EventLine): string {
    const { flow, event, says, ends } = line;
    const target = this.#withTarget ? `${line.target}  ` : "";
    const head = `${clockText(new Date(line.time))}  ${target}`;
    const lines = saidLines(`${head}${flow.padEnd(FLOW_WIDTH)}  ${event.padEnd(EVENT_WIDTH)}  `, says);
    if (line.likely !== undefined && this.#isNews(line)) {
      lines.push(...wrap(line.likely, `${INDENT}likely: `));
      if (line.next !== undefined && line.next !== null) lines.push(`${INDENT}next:   ${line.next}`);
    }
    if (isTrouble(line) && ends !== undefined && ends !== null) lines.push(`${INDENT}flow:   ${ends}`);
    return lines.join("\n");
  }

  #isNews({ target, likely = "", next, at }: EventLine): boolean {
    const cause = JSON.stringify([target, likely, next]);
    const isNews = cause !== this.#cause || at - this.#causeAt > SAME_CAUSE_SECONDS;
    this.#cause = cause;
    this.#causeAt = at;
    return isNews;
  }
}

/** What was seen, in as many lines as it takes: Pods and IPv6 have long names. What wraps begins where causes do. */
function saidLines(head: string, says: string): string[] {
  if (head.length + says.length <= WIDTH) return [head + says];
  return head.length <= WIDTH / 2
    ? wrap(says, head, INDENT)
    : [head.trimEnd(), ...wrap(says, INDENT, INDENT)]; // of a target with a long name
}

function isTrouble({ event }: EventLine): boolean {
  return event !== "answered" && event !== "moved" && event !== "back" && event !== "resolved";
}

/** Local time, as a person's own clock shows it. */
function clockText(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
