import type { CheckResult } from "../result.ts";
import type { Task, TaskContext } from "../task.ts";
import type { Asked, CheckContext, CheckSettings } from "./plan.ts";
import { sideBySide } from "./side-by-side.ts";
import { checkTcp } from "./tcp.ts";
import { checkUdp } from "./udp.ts";

/** Addresses that are asked at the same time, each by one protocol. */
const AT_ONCE = 16;

/** A step of progress that is worth a message. */
const SHARE_STEP = 0.005;

export interface CheckInput {
  readonly asked: readonly Asked[];
  readonly settings: CheckSettings;
}

/** How far all of it is, 0 to 1. */
interface CheckEvent {
  readonly share: number;
}

/**
 * Asks every address, side by side, and spread over the interval, so that they do not all send in the same instant.
 * Gives what was found in the order of `asked`, and less where the signal came first.
 */
export const checkTask: Task<CheckInput, CheckEvent, CheckResult[]> = async (input, context) => {
  const { asked, settings } = input;
  const { signal } = context;
  // Two sockets cannot have one port: where a port was asked for, one address after the other has it.
  const places = settings.source.port === undefined ? Math.min(AT_ONCE, asked.length) : 1;
  const contextOf = contexts(input, context);
  const results: CheckResult[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < asked.length && !signal.aborted) {
      const at = next++;
      results[at] = await checkOne(asked[at]!, contextOf(at));
    }
  };
  await sideBySide(places, settings.intervalMs, signal, work);
  return results;
};

function checkOne(asked: Asked, context: CheckContext): Promise<CheckResult> {
  return asked.protocol === "tcp" ? checkTcp(asked, context) : checkUdp(asked, context);
}

/** What the check at a place of the list works with; how far they all are is told together. */
function contexts(
  { asked, settings }: CheckInput,
  { sockets, signal, emit }: TaskContext<CheckEvent>,
): (at: number) => CheckContext {
  const shares = new Float64Array(asked.length);
  let told = 0;
  const tell = (): void => {
    const share = shares.reduce((sum, each) => sum + each, 0) / shares.length;
    if (share < told + SHARE_STEP) return;
    told = share;
    emit({ share });
  };
  return (at) => ({
    settings,
    sockets,
    signal,
    progress(share) {
      shares[at] = share;
      tell();
    },
  });
}
