import type { Banner } from "../../src/net/banner.ts";
import { type Endpoint, parseEndpoint } from "../../src/net/endpoint.ts";

/** What the tests of diagnosis share. */

/** An endpoint that is one. */
export function end(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (endpoint === null) throw new Error(`${text} is no endpoint`);
  return endpoint;
}

/** A banner with these ends, and whatever else is given. */
export function banner(server: string, client: string, more: Partial<Banner> = {}): Banner {
  return {
    date: "Sun Jun 4 18:37:24 UTC 2023",
    server: end(server),
    client: end(client),
    via: null,
    pod: null,
    node: null,
    namespace: null,
    length: 100,
    ...more,
  };
}
