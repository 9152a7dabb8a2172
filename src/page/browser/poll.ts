/** How often a path is asked: while somebody looks, and while nobody does. */
const INTERVAL_MS = 2000;
const HIDDEN_INTERVAL_MS = 10_000;

/** No answer in that time is none: the server's own work for one is at most a second or two. */
const PATIENCE_MS = 5000;

/** The longest line that is said of a refusal. */
const LINE_MAX = 300;

export interface Polled<Value> {
  /** May throw, where the value is not what this script takes it for. */
  readonly onValue: (value: Value) => void;
  /** Told each time: nothing came, or nothing that can be used. @param why in words */
  readonly onFailure: (why: string) => void;
}

/** Asks for JSON of this version, for ever, never for the same path twice at once. */
export async function poll<Value extends { readonly version: number }>(
  path: string,
  version: Value["version"],
  { onValue, onFailure }: Polled<Value>,
): Promise<never> {
  for (;;) {
    const askedAt = performance.now();
    const answer = await ask<Value>(path, version);
    const problem = typeof answer === "string" ? answer : problemWith(answer, onValue);
    if (problem !== null) onFailure(problem);
    await nextTurn(askedAt);
  }
}

/** A page that stays open sees its server upgraded, and may then be told what it does not know. */
function problemWith<Value>(value: Value, onValue: (value: Value) => void): string | null {
  try {
    onValue(value);
    return null;
  } catch (error) {
    console.error(error);
    return "what it says is not known to this page: load the page again";
  }
}

/** The value, or why there is none. */
async function ask<Value extends { readonly version: number }>(
  path: string,
  version: number,
): Promise<Value | string> {
  try {
    const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) return await refusal(response);
    const value = (await response.json()) as Value;
    return value.version === version ? value : "it is another version than this page: load the page again";
  } catch (error) {
    return error instanceof DOMException && error.name === "TimeoutError" ? "no answer in 5 s" : "no answer";
  }
}

/** The server says why in one plain line; what else says no (a proxy, by a page of its own) is told by its status. */
async function refusal(response: Response): Promise<string> {
  const isPlain = response.headers.get("content-type")?.startsWith("text/plain") ?? false;
  const [line] = isPlain ? (await response.text()).trim().split("\n", 1) : [];
  return line?.slice(0, LINE_MAX) || `status ${response.status}`;
}

/** Until the interval is over; at once where somebody begins to look after the shorter one. */
async function nextTurn(askedAt: number): Promise<void> {
  const restMs = (intervalMs: number): number => Math.max(0, askedAt + intervalMs - performance.now());
  if (document.hidden) {
    const seen = new AbortController();
    await Promise.race([pause(restMs(HIDDEN_INTERVAL_MS)), shown(seen.signal)]);
    seen.abort();
  }
  await pause(restMs(document.hidden ? 0 : INTERVAL_MS));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function shown(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true, signal });
  });
}
