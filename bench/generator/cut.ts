import type { NativeMemory } from "../../src/sys/memory.ts";
import { type Judged, judge } from "./judge.ts";
import { HEADER_BYTES, hasHeader, identityIn, isWindow, numberIn, type Stream } from "./payload.ts";

/**
 * Cuts a stream in which something was wrong into messages again. Where bytes are missing or too many, it finds the next
 * message by its header, so one fault does not make everything after it look wrong.
 * @param memory where the bytes lie, from its beginning on
 * @param next the number that is expected
 * @param sent how many messages the session has sent
 * @param each told what each message is, in order; returns the number that is expected after it
 * @returns how many bytes were taken; the rest is the beginning of a message
 */
export function cutMessages(
  memory: NativeMemory,
  length: number,
  stream: Stream,
  next: number,
  sent: number,
  each: (judged: Judged) => number,
): number {
  const { size } = stream;
  let at = 0;
  let expected = next;
  while (at + size <= length) {
    const judged = judge(memory, at, size, stream, expected, sent);
    const damaged = judged.what === "damaged";
    const begins = damaged ? nextHeader(memory, at + 1, at + size, length, stream, sent) : at + size;
    if (begins + size > length && begins < at + size) return at; // told apart when the rest has come
    expected = each(judged);
    at = begins;
  }
  return at;
}

/** Where a message of the stream begins between `from` and `to`; `to` where none does. It may be unfinished. */
function nextHeader(
  memory: NativeMemory,
  from: number,
  to: number,
  length: number,
  stream: Stream,
  sent: number,
): number {
  if (!hasHeader(stream.size)) return to;
  for (let at = from; at < to && at + HEADER_BYTES <= length; at++) {
    if (identityIn(memory.view, at) !== stream.identity) continue;
    const number = numberIn(memory.view, at);
    if (number >= sent) continue;
    const there = Math.min(stream.size, length - at);
    if (isWindow(memory.address + at, stream, number * stream.size, there)) return at;
  }
  return to;
}
