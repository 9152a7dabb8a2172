import type { Endpoint } from "../net/endpoint.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { dialable } from "./dialable.ts";
import type { Verdict } from "./health.ts";

/** Asks a running server, whose admin listens at `bound`, how it is. */
export async function askHealth(
  bound: Endpoint,
  path: "/livez" | "/readyz",
  timeoutMs: number,
): Promise<Verdict> {
  const endpoint = formatEndpoint(dialable(bound));
  try {
    const response = await fetch(`http://${endpoint}${path}`, {
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
    });
    const [line] = (await response.text()).split("\n", 1);
    return { ok: response.status === 200, text: line! };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    const why = timedOut ? `no answer within ${timeoutMs} ms` : "nobody answers";
    return { ok: false, text: `${why} at ${endpoint}` };
  }
}
