import { Failure } from "../../../client/failure.ts";
import { makePayload } from "../../../client/payload.ts";
import type { HalfClose, TcpSession } from "../../../client/tcp-session.ts";
import type { CheckSettings } from "../plan.ts";
import { type Messages, whatCame } from "./messages.ts";
import type { BulkSeen, TailSeen, Wrong } from "./seen.ts";

/**
 * Nothing must move for so long, whatever `--timeout`, before many bytes count as stalled. A segment that is lost is
 * sent again after 0.2, 0.6, 1.4 and 3 s: chance that takes it four times in a row is no chance.
 */
const STALL_MS_MIN = 3500;

/** Enough that it is still under way when the FIN is sent, and nothing to a link. */
const TAIL_BYTES_MAX = 65_536;

/** What became of the bulk, and why the session ended in it, if it did. */
interface BulkEnd {
  readonly bulk: BulkSeen;
  readonly failure: Failure | null;
  readonly wrong: Wrong | null;
}

/**
 * Sends the bulk on a session whose echoes came back, and then the last message and a FIN.
 * A session from a port that was asked for makes no half-close: the port would be in TIME-WAIT for a minute after
 * it, and the next check of the same flow could not have it.
 * @param number of the bulk among the flow's messages
 */
export async function askBulk(
  session: TcpSession,
  messages: Messages,
  number: number,
  settings: CheckSettings,
): Promise<BulkEnd> {
  const { bulkBytes, timeoutMs, source } = settings;
  const stallMs = Math.max(timeoutMs, STALL_MS_MIN);
  const before = session.echoedBytes;
  const infoBefore = session.info;
  const message = makePayload(messages.key, number, bulkBytes);
  const echo = bulkBytes === 0 ? null : await session.bulk(message, stallMs);
  const { info } = session;
  const bulk = {
    bytes: bulkBytes,
    received: session.echoedBytes - before,
    stalled: echo instanceof Failure && echo.code === "silent",
    stallMs,
    retransmits: rise(infoBefore?.retransmits, info?.retransmits),
    acknowledged: rise(infoBefore?.acknowledgedBytes, info?.acknowledgedBytes),
    pathMtu: info?.pathMtu ?? null,
    tail: null,
  };
  if (echo instanceof Failure) {
    const wrong = echo.received === null ? null : whatCame(messages, number, message, echo.received);
    return { bulk, failure: bulk.stalled ? null : echo, wrong };
  }
  if (source.port !== undefined) return { bulk, failure: null, wrong: null };
  const tail = await halfClose(session, messages, number + 1, tailBytes(settings), stallMs);
  if (!(tail instanceof Failure)) return { bulk: { ...bulk, tail }, failure: null, wrong: null };
  const expected = makePayload(messages.key, number + 1, tailBytes(settings));
  const wrong =
    tail.code === "corrupted" ? whatCame(messages, number + 1, expected, tail.received ?? NOTHING) : null;
  return { bulk, failure: tail, wrong };
}

/** From one figure to a later one; null where either is not known. */
function rise(before: number | null | undefined, after: number | null | undefined): number | null {
  return typeof before === "number" && typeof after === "number" ? after - before : null;
}

const NOTHING = new Uint8Array(0);

function tailBytes({ bulkBytes, size }: CheckSettings): number {
  return Math.max(1, size, Math.min(bulkBytes, TAIL_BYTES_MAX));
}

/** What came of the tail; why that is not known, where the session ended before it or other bytes came. */
async function halfClose(
  session: TcpSession,
  { key }: Messages,
  number: number,
  due: number,
  stallMs: number,
): Promise<TailSeen | Failure> {
  const before = session.echoedBytes;
  const end = await session.halfClose(makePayload(key, number, due), stallMs);
  if (!(end instanceof Failure)) return seenOf(end);
  if (end.code !== "silent") return end;
  return { kind: "cut", bytes: session.echoedBytes - before, due, endedBy: null };
}

function seenOf({ tail, bytes, due, endedBy }: HalfClose): TailSeen {
  return { kind: tail, bytes, due, endedBy };
}
