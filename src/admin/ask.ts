import { dialableHost, endpointText } from "./endpoint.ts";
import type { Verdict } from "./health.ts";

/** Asks a running server's admin port how it is. */
export async function askHealth(
  host: string,
  port: number,
  path: "/livez" | "/readyz",
  timeoutMs: number,
): Promise<Verdict> {
  const endpoint = endpointText({ hostname: dialableHost(host), port });
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
