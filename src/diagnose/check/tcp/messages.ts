import { type FlowKey, makePayload, readPayload } from "../../../client/payload.ts";
import type { Wrong } from "./seen.ts";

/** Bytes kept of what came, to be shown. */
const SHOWN_BYTES = 64;

/** The messages of a flow. All but the bulk, which comes last, are of one size. */
export interface Messages {
  readonly key: FlowKey;
  /** Bytes of an echo. */
  readonly size: number;
}

/**
 * What came on a stream in place of a message. An earlier message of the flow that came again whole is `duplicated`;
 * another session's is `foreign`, as is what shows nothing of what was due; all else is `corrupted`, a later message of
 * the flow as well: what was due was dropped.
 * @param number of the message that was due
 * @param expected that message
 * @param received what came from its first byte on, as much as there was
 * @param sent messages that were sent by then
 */
export function whatCame(
  { key, size }: Messages,
  number: number,
  expected: Uint8Array,
  received: Uint8Array,
  sent = number + 1,
): Wrong {
  const reading = readPayload(received.subarray(0, size), key, sent, () => size);
  const crossed = reading.kind === "crossed";
  const what =
    reading.kind === "own"
      ? reading.number < number
        ? "duplicated"
        : "corrupted"
      : !crossed && (reading.kind === "corrupted" || looksLike(expected, received))
        ? "corrupted"
        : "foreign";
  const byte = firstDifference(expected, received);
  return { what, crossed, message: number, byte, received: received.slice(0, SHOWN_BYTES) };
}

/** The payload of an echo. */
export function messageOf({ key, size }: Messages, number: number): Uint8Array<ArrayBuffer> {
  return makePayload(key, number, size);
}

/** Whether more than half of the bytes that came are those that were due. */
function looksLike(expected: Uint8Array, received: Uint8Array): boolean {
  const length = Math.min(expected.length, received.length);
  let same = 0;
  for (let at = 0; at < length; at++) if (expected[at] === received[at]) same++;
  return same > length / 2;
}

/** Where the two differ first; the shorter one's length where they do not. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}
