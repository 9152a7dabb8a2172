import type { Sockets } from "../../client/sockets.ts";
import type { CheckResult } from "../result.ts";
import type { Asked, CheckContext, CheckSettings } from "./plan.ts";
import { checkTcp } from "./tcp.ts";
import { checkUdp } from "./udp.ts";

/** Addresses that are asked at the same time, each by one protocol. */
const AT_ONCE = 16;

/** What the checks of all addresses have in common. */
export interface Run {
  readonly settings: CheckSettings;
  readonly sockets: Sockets;
  readonly signal: AbortSignal;
  /** Told now and then how far all of it is, 0 to 1. */
  progress(share: number): void;
}

/**
 * Asks every address, side by side, and spread over the interval, so that they do not all send in the same instant.
 * @returns what was found, in the order of `asked`; short where the signal came first
 */
export async function checkAll(asked: readonly Asked[], run: Run): Promise<CheckResult[]> {
  const { settings, signal } = run;
  // Two sockets cannot have one port: where a port was asked for, one address after the other has it.
  const places = settings.source.port === undefined ? Math.min(AT_ONCE, asked.length) : 1;
  const shares = new Float64Array(asked.length);
  const results: CheckResult[] = [];
  let next = 0;
  const work = async (place: number): Promise<void> => {
    await Bun.sleep((place * settings.intervalMs) / places);
    while (next < asked.length && !signal.aborted) {
      const at = next++;
      results[at] = await checkOne(asked[at]!, contextOf(run, shares, at));
    }
  };
  await Promise.all(Array.from({ length: places }, (_, place) => work(place)));
  return results;
}

function checkOne(asked: Asked, context: CheckContext): Promise<CheckResult> {
  return asked.protocol === "tcp" ? checkTcp(asked, context) : checkUdp(asked, context);
}

/** @param shares how far each address is; this one's stands at `at` */
function contextOf(
  { settings, sockets, signal, progress }: Run,
  shares: Float64Array,
  at: number,
): CheckContext {
  return {
    settings,
    sockets,
    signal,
    progress(share) {
      shares[at] = share;
      progress(shares.reduce((sum, each) => sum + each, 0) / shares.length);
    },
  };
}
