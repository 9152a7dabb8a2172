import type { EventLine } from "./line.ts";

/** The longest name of a probe, and of an event. */
const FLOW_WIDTH = "udp-connected".length;
const EVENT_WIDTH = "translation".length;

/** Where what is said of a line begins. */
const INDENT = " ".repeat("12:34:56.789  ".length);

/**
 * A line for a person: `12:34:56.789  udp-fixed      back         silent for 3.42 s, 34 lost; ...`, and below it whatever
 * else is worth knowing.
 * @param withTarget there are several
 */
export function eventText(line: EventLine, withTarget: boolean): string {
  const { flow, event, says, likely, next, ends } = line;
  const target = withTarget ? `${line.target}  ` : "";
  const lines = [
    `${clockText(new Date(line.time))}  ${target}${flow.padEnd(FLOW_WIDTH)}  ${event.padEnd(EVENT_WIDTH)}  ${says}`,
  ];
  if (likely !== undefined) lines.push(`${INDENT}likely: ${likely}`);
  if (next !== undefined && next !== null) lines.push(`${INDENT}next:   ${next}`);
  if (likely !== undefined && ends !== undefined && ends !== null) lines.push(`${INDENT}flow:   ${ends}`);
  return lines.join("\n");
}

/** Local time, as a person's own clock shows it. */
function clockText(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
