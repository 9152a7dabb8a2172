/** A host as an http:// address may have it: an IPv6 literal in brackets, or a name or IPv4 address. */
const HOST = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?$/;

/**
 * The host that the page was asked for by, without its port: as an address has it.
 * @param host as the Host field or `location.host` has it; whoever asks may write anything there
 * @returns null where it is none that a link can be made of
 */
export function hostName(host: string | null): string | null {
  return HOST.exec(host ?? "")?.[1] ?? null;
}

/** Where another port of the same host is; null where no link can be made. @param host as for `hostName` */
export function addressOf(host: string | null, port: number): string | null {
  const name = hostName(host);
  return name === null ? null : `http://${name}:${port}/`;
}
