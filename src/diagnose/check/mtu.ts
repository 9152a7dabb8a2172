import { isIPv4 } from "../../net/address.ts";
import { ownEndTo } from "../../net/endpoint.ts";
import { interfaceMtu } from "./interface-mtu.ts";
import { findingsOf, type MtuFindings } from "./mtu/findings.ts";
import { IPV4_HEADERS, IPV6_HEADERS, SIZE_MIN } from "./mtu/look.ts";
import { Prober } from "./mtu/prober.ts";
import { sweep } from "./mtu/sweep.ts";
import type { Asked, CheckContext } from "./plan.ts";
import { NEEDS_LINUX, notMeasured } from "./unmeasured.ts";

/** A healthy path takes well under a second and some hundred round trips, one that loses sizes some ten seconds. */
const PATIENCE_MS = 60_000;

/** A datagram that any path takes and that is long enough for a banner to be no amplification. */
const FIRST_BYTES = 512;
const FIRST_TRIES = 3;

/**
 * Finds out which sizes of datagrams pass, each way by itself.
 *
 * There: each size with don't-fragment, from a port of its own. Back: what comes of it, the small banner and the echo of
 * the full size, whole, cut or not at all. Sizes that pass there only in fragments are sent so, for the way back. What
 * cannot be measured here is null, and a note says why.
 * @param context its `progress` is told of this alone, 0 to 1
 */
export async function probeMtu(asked: Asked, context: CheckContext): Promise<MtuFindings> {
  if (!context.sockets.bySystemCalls) return nothing(NEEDS_LINUX);
  const endMs = performance.now() + Math.max(PATIENCE_MS, 10 * context.settings.timeoutMs);
  const isOver = (): boolean => context.signal.aborted || performance.now() > endMs;
  const ipv6 = !isIPv4(asked.endpoint.address);
  const kind = { ipv6, headers: ipv6 ? IPV6_HEADERS : IPV4_HEADERS };
  const prober = new Prober(asked, context, isOver);
  if (!(await isThere(prober))) return stopped(prober, context) ?? notAnswered();
  const hint = prober.own === null ? null : await interfaceMtu(prober.own);
  const limits = { progress: (share: number) => context.progress(share), isOver };
  const swept = await sweep(prober.probe, kind, hint, limits);
  const why = stopped(prober, context);
  if (why !== null) return why;
  if (swept === null) return nothing("sizes fare too differently from one time to the next");
  if (swept.measurableUpTo === 0) return nothing("the path loses too many datagrams at random");
  const own = prober.own === null ? null : ownEndTo(asked.endpoint, prober.own, 0);
  return findingsOf(swept, kind, prober, { own, target: asked.endpoint });
}

/**
 * Whether anything is answered at all; afterwards it is known whether banners come. One that does not come is asked for
 * again, since a port that was used before gets none.
 */
async function isThere(prober: Prober): Promise<boolean> {
  let isThere = false;
  for (const size of [FIRST_BYTES, SIZE_MIN, FIRST_BYTES]) {
    const { there } = await prober.probe(size, { dontFragment: true, tries: FIRST_TRIES });
    if (there === "passed") isThere = true;
    if (isThere && prober.banners) break;
  }
  return isThere;
}

/** That it came to no end because it could not go on here, or was not to; null where that is not so. */
function stopped({ failure }: Prober, { signal }: CheckContext): MtuFindings | null {
  if (failure !== null) return nothing(`${failure}`);
  return signal.aborted ? nothing("interrupted") : null;
}

/** What is known of the sizes where nobody answers at all. */
export function notAnswered(): MtuFindings {
  return nothing("small datagrams are not answered");
}

function nothing(why: string): MtuFindings {
  return { mtu: null, problems: [], notes: [notMeasured("path MTU", why)] };
}
