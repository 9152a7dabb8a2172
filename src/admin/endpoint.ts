/** Where a client dials. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

/**
 * Where to dial what listens at `ip:port` or `[ip]:port`. A wildcard is dialled by 127.0.0.1: `::` takes IPv4 too,
 * or stands beside a `0.0.0.0` that does, and a container with IPv6 does not always have `::1`.
 */
export function dialable(bound: string): Endpoint {
  const colon = bound.lastIndexOf(":");
  return {
    hostname: dialableHost(bound.slice(0, colon).replace(/^\[|\]$/g, "")),
    port: Number(bound.slice(colon + 1)),
  };
}

/** The address to dial for an address that is listened on. */
export function dialableHost(host: string): string {
  return host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
}

/** `1.2.3.4:80`, `[fd00::1]:80`. */
export function endpointText({ hostname, port }: Endpoint): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
