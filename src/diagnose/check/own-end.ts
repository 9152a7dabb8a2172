import { Failure } from "../../client/failure.ts";
import { wayTo } from "../../client/udp-flow.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { CheckContext } from "./plan.ts";

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
