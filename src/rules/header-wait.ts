import { type Address, type Cidr, inCidr, parseCidr } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { ProxySource } from "./proxy.ts";
import type { RuleSettings } from "./settings.ts";

/** A connection's end, as a copy: engines use the address that they pass in again. */
export function endpoint({ a0, a1, a2, a3 }: Address, port: number): Endpoint {
  return { address: { a0, a1, a2, a3 }, port };
}

/** Which peers are expected to send a PROXY header. */
export class ProxyTrust {
  readonly #mode: RuleSettings["proxyProtocol"];
  readonly #trusted: readonly Cidr[];

  constructor({ proxyProtocol, proxyTrusted }: RuleSettings) {
    this.#mode = proxyProtocol;
    this.#trusted = proxyTrusted.map((text) => parseCidr(text)!);
  }

  /** Whether a newcomer has to wait for one; `refuse` where it may not even come. */
  awaitsHeader(peer: Address): boolean | "refuse" {
    if (this.#mode === "off") return false;
    if (this.#trusted.length === 0 || this.#trusted.some((cidr) => inCidr(cidr, peer))) return true;
    return this.#mode === "require" ? "refuse" : false;
  }
}

/** A session whose first bytes may be a PROXY header. */
export class HeaderWait {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /** Bytes of a header that is not complete. */
  bytes = new Uint8Array(0);
  /** Since when a header, or the rest of one, is waited for; null where there is no hurry. */
  sinceMs: number | null;
  /** The banner is sent already: a header that comes now is late. */
  late = false;
  #wasExcused = false;

  constructor(local: Endpoint, peer: Endpoint, nowMs: number) {
    this.local = local;
    this.peer = peer;
    this.sinceMs = nowMs;
  }

  /** Keeps a copy of more bytes: the chunk is the engine's. */
  add(chunk: Uint8Array): void {
    const both = new Uint8Array(this.bytes.length + chunk.length);
    both.set(this.bytes);
    both.set(chunk, this.bytes.length);
    this.bytes = both;
  }

  /** Bytes have come. True where a late header has just begun: its rest has as long to come as one in time. */
  hurry(nowMs: number): boolean {
    if (this.sinceMs !== null) return false;
    this.sinceMs = nowMs;
    return true;
  }

  /** Its time is over. True, once, where bytes have just come: they are read first, and may be what is waited for. */
  isExcused(bytesCame: boolean): boolean {
    if (!bytesCame || this.#wasExcused) return false;
    this.#wasExcused = true;
    return true;
  }

  /** Nothing came in time: the banner goes out, and a header may follow whenever the peer begins to speak. */
  becomeLate(): void {
    this.late = true;
    this.sinceMs = null;
  }
}

/** The client of a session whose header is read: whom it named, else who connected. */
export function clientOf({ peer }: HeaderWait, source: ProxySource | null): Endpoint {
  return source === null ? peer : { address: source, port: source.port };
}
