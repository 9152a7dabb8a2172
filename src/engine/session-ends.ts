import { type Address, formatEndpoint } from "../net/address.ts";
import type { ProxySource } from "../rules/proxy.ts";

/** Both ends of a session as text, for the log: `ip:port`. */
export interface SessionEnds {
  readonly client: string;
  readonly server: string;
  /** The proxy between them, where a PROXY header named the client. */
  readonly via?: string;
}

/** The ends of a connection. */
export function sessionEnds(peer: Address, peerPort: number, local: Address, localPort: number): SessionEnds {
  return { client: formatEndpoint(peer, peerPort), server: formatEndpoint(local, localPort) };
}

/** The same session once a header has named its client: who was taken for that is the proxy. */
export function proxiedEnds(ends: SessionEnds, source: ProxySource): SessionEnds {
  return { ...ends, client: formatEndpoint(source, source.port), via: ends.client };
}
