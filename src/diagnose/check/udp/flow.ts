import { sleep } from "../../../client/deadlines.ts";
import { Failure } from "../../../client/failure.ts";
import type { UdpFlow } from "../../../client/udp-flow.ts";
import { Patience } from "../../../client/wake.ts";
import type { CheckSettings } from "../plan.ts";
import type { FlowBook } from "./book.ts";
import { FlowPace, type PaceState } from "./pace.ts";

/** The kernel's buffers are full for so long at a time, and then have room again. */
const BUFFERS_RETRY_MS = 1;

/** Who of this machine rejects what is sent (a rule of its firewall) is told of beside the error of the sending. */
const REFUSAL_MS = 20;

/**
 * Sends a flow's messages at their pace and books what comes, until there is nothing more to wait for.
 * @param sent told of each message that was sent
 * @returns false where it was interrupted: what is under way then is not lost
 */
export async function askFlow(
  flow: UdpFlow,
  book: FlowBook,
  settings: CheckSettings,
  sent: () => void,
): Promise<boolean> {
  const pace = new FlowPace(settings);
  for (;;) {
    const nowMs = performance.now();
    book.messages.tracker.settle(nowMs);
    const state = stateOf(book);
    const sendMs = pace.nextSendMs(state.told);
    const nextMs = Math.min(sendMs, pace.endMs(state));
    if (nextMs >= nowMs) {
      if (!(await takeNext(flow, book, nextMs - nowMs))) return false;
      continue;
    }
    if (sendMs === Number.POSITIVE_INFINITY) return true;
    const failure = await send(flow, book, settings.timeoutMs);
    if (failure?.code === "aborted" || failure?.code === "ended") return false;
    // What cannot even be begun ends at once, and the book has why. Later a way may come back: the flow goes on.
    if (failure !== null && pace.sent === 0) return takeNext(flow, book, REFUSAL_MS);
    pace.sentAt(nowMs);
    sent();
  }
}

function stateOf({ messages, heard, echoAtMs, hasNews }: FlowBook): PaceState {
  const { answered, late } = messages.counts;
  return {
    tracker: messages.tracker,
    told: heard || hasNews,
    hopeless: hasNews && answered + late === 0,
    echoAtMs,
    largestRoundTripMs: messages.roundTrips.quantile(1),
  };
}

/** Books the next thing that comes within that time, if anything does; false where the flow was ended meanwhile. */
async function takeNext(flow: UdpFlow, book: FlowBook, timeoutMs: number): Promise<boolean> {
  const came = await flow.receive(timeoutMs);
  if (!(came instanceof Failure)) book.take(came);
  else if (came.code === "aborted" || came.code === "ended") return false;
  else if (came.code !== "timeout") book.fail(came);
  return true;
}

/**
 * Sends the next message; where the kernel has no room now, again when it may have. Its time is taken when it leaves.
 * Null, or why it did not.
 */
async function send(flow: UdpFlow, book: FlowBook, timeoutMs: number): Promise<Failure | null> {
  const patience = new Patience(timeoutMs);
  const message = book.messages.upcoming();
  for (;;) {
    const nowMs = performance.now();
    const failure = flow.send(message);
    if (failure === null) {
      book.messages.sent(nowMs);
      return null;
    }
    if (failure.code !== "no_buffers_here" || patience.leftMs <= 0) {
      book.notSent ??= failure;
      return failure;
    }
    await sleep(BUFFERS_RETRY_MS);
  }
}
