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

/** Where Kubernetes' API server shows a Pod's page (`kubectl proxy`), with or without its port; its scheme may stand there. */
const POD_PROXY = /\/pods\/((?:https?:)?[^/:]+)(?::\d+)?\/proxy\/$/;

/**
 * Where another port of the same host is; null where no link can be made.
 * @param host as for `hostName`
 * @param path under which the page is seen: another one than `/` is a proxy's, where ports of that host are not the Pod's
 */
export function addressOf(host: string | null, port: number, path = "/"): string | null {
  if (path !== "/") {
    const pod = POD_PROXY.exec(path)?.[1];
    return pod === undefined ? null : `../../${pod}:${port}/proxy/`;
  }
  const name = hostName(host);
  return name === null ? null : `http://${name}:${port}/`;
}
