import type { Address } from "../net/address.ts";
import { formatEndpoint } from "../net/endpoint.ts";
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
  return {
    client: formatEndpoint({ address: peer, port: peerPort }),
    server: formatEndpoint({ address: local, port: localPort }),
  };
}

/** The same session once a header has named its client: who was taken for that is the proxy. */
export function proxiedEnds(ends: SessionEnds, source: ProxySource): SessionEnds {
  return { ...ends, client: formatEndpoint({ address: source, port: source.port }), via: ends.client };
}
