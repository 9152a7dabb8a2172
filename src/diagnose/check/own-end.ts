import { Failure } from "../../client/failure.ts";
import { wayTo } from "../../client/udp-flow.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { CheckContext } from "./plan.ts";

/** This end of the first flow of which it is known; null where it is of none. */
export function knownOwn(flows: readonly { readonly own: Endpoint | null }[]): Endpoint | null {
  return flows.find(({ own }) => own !== null)?.own ?? null;
}

/**
 * The end from which this machine would go to `target`, its port being nobody's: 0. Nothing is sent. Null where there is no way from here.
 */
export async function ownEnd(
  target: Endpoint,
  { sockets, settings }: CheckContext,
): Promise<Endpoint | null> {
  const way = await wayTo(target, settings.source, sockets.openUdp);
  return way instanceof Failure ? null : { ...way, port: 0 };
}
