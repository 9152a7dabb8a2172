import type { Banner } from "../../net/banner.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import type { ServerSpan } from "./line.ts";

/** A server, as its banner says; all null of one that sends none. */
export interface Server {
  readonly server: string | null;
  readonly pod: string | null;
  readonly node: string | null;
}

export const UNNAMED: Server = { server: null, pod: null, node: null };

/** Spans that are kept: a summary has to fit a screen and a line of JSON. */
const KEPT = 100;

export function serverOf(banner: Banner | null): Server {
  if (banner === null) return UNNAMED;
  return { server: formatEndpoint(banner.server), pod: banner.pod, node: banner.node };
}

/** `10.244.2.7:5678 (server2-def on node2)` */
export function serverText({ server, pod, node }: Server): string {
  if (server === null) return "a server that does not say who it is";
  const where = node === null ? "" : ` on ${node}`;
  return pod === null ? `${server}${where}` : `${server} (${pod}${where})`;
}

interface Span {
  readonly who: Server;
  readonly fromMs: number;
  toMs: number;
}

/**
 * Who answered from when to when, in bounded memory. Those who answer a held flow follow each other; of new flows,
 * which a Service spreads, each server has one span.
 */
export class Servers {
  forgotten = 0;
  #spans: Span[] = [];
  readonly #follow: boolean;

  /** @param follow a span ends when another server answers */
  constructor(follow: boolean) {
    this.#follow = follow;
  }

  /** It answered. @returns whether it had no span that this answer goes on with */
  answered(who: Server, atMs: number): boolean {
    const candidates = this.#follow ? this.#spans.slice(-1) : this.#spans;
    const span = candidates.find((each) => each.who.server === who.server && each.who.pod === who.pod);
    if (span !== undefined) {
      span.toMs = atMs;
      return false;
    }
    this.#spans.push({ who, fromMs: atMs, toMs: atMs });
    if (this.#spans.length > KEPT) this.#forget();
    return true;
  }

  /** @param startMs of the watch */
  spans(startMs: number): ServerSpan[] {
    const seconds = (ms: number): number => Math.round(ms - startMs) / 1000;
    return this.#spans.map(({ who, fromMs, toMs }) => ({ ...who, from: seconds(fromMs), to: seconds(toMs) }));
  }

  /** The one that answered longest ago goes. */
  #forget(): void {
    const oldest = this.#spans.reduce((a, b) => (b.toMs < a.toMs ? b : a));
    this.#spans.splice(this.#spans.indexOf(oldest), 1);
    this.forgotten++;
  }
}
