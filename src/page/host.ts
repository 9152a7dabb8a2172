/** A host as an http:// address may have it: an IPv6 literal in brackets, or a name or IPv4 address. */
const HOST = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::\d{1,5})?$/;

/**
 * Where another port of the host is that the page was asked for by.
 * @param host as the Host field or `location.host` has it; whoever asks may write anything there
 * @returns null where it is none that a link can be made of
 */
export function addressOf(host: string | null, port: number): string | null {
  const [, name] = HOST.exec(host ?? "") ?? [];
  return name === undefined ? null : `http://${name}:${port}/`;
}
