import { errorWord } from "../client/failure.ts";
import { type Endpoint, endpointOf, sameEndpoint } from "../net/endpoint.ts";
import { ownAddresses } from "./interfaces.ts";
import { type Family, familyOf } from "./targets.ts";

/** What the system's resolver says of a name. */
export type Resolution =
  /** Each address once, in the resolver's order (RFC 6724), with port 0. */
  | { readonly kind: "found"; readonly addresses: readonly Endpoint[]; readonly ms: number }
  /** It says that there is none. `otherFamily`: but there are addresses of the version that was not asked for. */
  | { readonly kind: "none"; readonly otherFamily: boolean; readonly ms: number }
  /** It did not say. `word` is the system's for why; empty where time was up. */
  | { readonly kind: "unknown"; readonly word: string; readonly ms: number };

/**
 * Asks for the addresses of a name. Resolves with them as text; rejects with an error that has the system's word as its
 * `code`. @param family 0 for both
 */
export type Lookup = (host: string, family: Family | 0) => Promise<readonly string[]>;

/**
 * How long a name may take. The C library gives up by itself after 5 s twice (resolv.conf(5), `timeout` and `attempts`),
 * and says so; a machine with several dead name servers would wait for minutes.
 */
const RESOLVE_MS = 12_000;

/** Words for "there is no such name, or no such address of it" (EAI_NONAME, EAI_NODATA, EAI_ADDRFAMILY). */
const NO_SUCH_NAME = new Set(["DNS_ENOTFOUND", "DNS_ENODATA", "DNS_ENONAME", "DNS_EBADFAMILY", "ENOTFOUND"]);

/**
 * The machine's own resolver (getaddrinfo), so that /etc/hosts and the search domains of a Pod count as they do for any
 * other program in it.
 */
export const systemLookup: Lookup = async (host, family) => {
  const found = await Bun.dns.lookup(host, { family, backend: "getaddrinfo", socketType: "tcp" });
  return found.map(({ address }) => address);
};

interface ResolveOptions {
  readonly lookup?: Lookup;
  /** For each question. */
  readonly timeoutMs?: number;
  /** False: `otherFamily` is of no interest, and its question not asked. */
  readonly askOther?: boolean;
}

/**
 * Resolves a name, once. Never throws: whatever the resolver does is a `Resolution`.
 * @param family the only one to ask for; null for both
 */
export async function resolveName(
  host: string,
  family: Family | null,
  { lookup = systemLookup, timeoutMs = RESOLVE_MS, askOther = true }: ResolveOptions = {},
): Promise<Resolution> {
  const sinceMs = performance.now();
  const answer = await within(timeoutMs, lookup(host, family ?? 0));
  const ms = performance.now() - sinceMs;
  if (answer === null) return { kind: "unknown", word: "", ms };
  const word = answer instanceof Error ? errorWord(answer) : "";
  if (answer instanceof Error && !NO_SUCH_NAME.has(word)) return { kind: "unknown", word, ms };
  const addresses = answer instanceof Error ? [] : addressesIn(answer, family);
  if (addresses.length > 0) return { kind: "found", addresses, ms };
  return { kind: "none", otherFamily: askOther && (await hasOther(host, family, lookup, timeoutMs)), ms };
}

/** Why a name has no addresses, in words. @param family the only one that was asked for; null for both */
export function resolutionText(
  host: string,
  answer: Exclude<Resolution, { kind: "found" }>,
  family: Family | null,
): string {
  const version = family === null ? "" : `IPv${family} `;
  if (answer.kind === "none") return `the resolver says that ${host} has no ${version}address`;
  return `the resolver does not say what ${host} is${answer.word === "" ? " in time" : ` (${answer.word})`}`;
}

/** Versions of which this machine has an address; loopback counts. None where that is not known. */
export function familiesHere(): ReadonlySet<Family> {
  return new Set(ownAddresses().map(({ family }) => (family === "IPv4" ? 4 : 6)));
}

/** Whether a name has addresses of the version that was not asked for: a better word for why there are none. */
async function hasOther(
  host: string,
  family: Family | null,
  lookup: Lookup,
  timeoutMs: number,
): Promise<boolean> {
  if (family === null) return false;
  const answer = await within(timeoutMs, lookup(host, family === 4 ? 6 : 4));
  return Array.isArray(answer) && answer.length > 0;
}

/** What a promise gives, or the error it fails with; null when it does neither in time. */
async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T | Error | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), timeoutMs);
  const settled = promise.catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The addresses in texts, each once, of one version where it was asked for. */
function addressesIn(texts: readonly string[], family: Family | null): Endpoint[] {
  const all = texts.map((text) => endpointOf(text, 0)).filter((end) => end !== null);
  const wanted = all.filter(({ address }) => family === null || familyOf(address) === family);
  return wanted.filter((end, at) => wanted.findIndex((other) => sameEndpoint(other, end)) === at);
}
