import { Failure } from "../../client/failure.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { CheckContext } from "./plan.ts";

/**
 * The end from which this machine would go to `target`, its port being nobody's: 0. A connected UDP socket knows it,
 * and nothing is sent. Null where there is no way from here.
 */
export async function ownEnd(
  target: Endpoint,
  { sockets, settings }: CheckContext,
): Promise<Endpoint | null> {
  const { address } = settings.source;
  const options = { source: address === undefined ? {} : { address }, connected: true, dontFragment: false };
  const socket = await sockets.openUdp(target, options, { datagram() {}, error() {} });
  if (socket instanceof Failure) return null;
  const { local } = socket;
  socket.close();
  return { ...local, port: 0 };
}
