import type { NativeMemory } from "../../src/sys/memory.ts";
import {
  HEADER_BYTES,
  hasHeader,
  IDENTITIES,
  identityIn,
  isBody,
  isWindow,
  numberIn,
  type Stream,
  streamOf,
} from "./payload.ts";

/** Without numbers, how far ahead of the expected message one is looked for. */
const SEARCH = 16;

/** What came in place of the expected message. */
export interface Judged {
  /** `own`: right, as it was sent on this session; `foreign`: right, but sent on another; `damaged`: anything else. */
  readonly what: "own" | "foreign" | "damaged";
  /** Of the message, -1 where it cannot be told. */
  readonly number: number;
  /** Of the session that sent it. */
  readonly identity: number;
}

/**
 * Looks at a message that is not the expected one.
 * @param at where it lies in `memory`
 * @param next the number that was expected
 * @param sent how many messages the session has sent
 */
export function judge(
  memory: NativeMemory,
  at: number,
  length: number,
  stream: Stream,
  next: number,
  sent: number,
): Judged {
  const { size, identity: own } = stream;
  if (!hasHeader(size)) return nameless(memory.address + at, length, stream, next, sent);
  if (length < HEADER_BYTES) return { what: "damaged", number: -1, identity: own };
  const identity = identityIn(memory.view, at);
  const number = numberIn(memory.view, at);
  if (identity === own && number < sent) {
    const right = length === size && isBody(memory.address + at, stream, number);
    return { what: right ? "own" : "damaged", number, identity };
  }
  if (identity === own || identity < 0 || identity >= IDENTITIES || length !== size)
    return { what: "damaged", number: -1, identity: own };
  const foreign = isBody(memory.address + at, streamOf(identity, size), number);
  return foreign ? { what: "foreign", number, identity } : { what: "damaged", number: -1, identity: own };
}

function nameless(address: number, length: number, stream: Stream, next: number, sent: number): Judged {
  const { size, identity } = stream;
  for (let number = next; length === size && number < Math.min(sent, next + SEARCH); number++) {
    if (isWindow(address, stream, number * size, size)) return { what: "own", number, identity };
  }
  return { what: "damaged", number: -1, identity };
}
