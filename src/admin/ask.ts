import type { Endpoint } from "../net/endpoint.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import { dialable } from "./dialable.ts";
import type { Verdict } from "./health.ts";
import { httpGet, NoAnswer } from "./http-get.ts";

/** An answer is one line. */
const BYTES_MAX = 16_384;

/** Asks a running server, whose admin listens at `bound`, how it is. */
export async function askHealth(
  bound: Endpoint,
  path: "/livez" | "/readyz",
  timeoutMs: number,
): Promise<Verdict> {
  const server = dialable(bound);
  const got = await httpGet(server, path, { timeoutMs, bytesMax: BYTES_MAX });
  if (got instanceof NoAnswer) return { ok: false, text: `${got.why} at ${formatEndpoint(server)}` };
  const [line] = got.body.split("\n", 1);
  return { ok: got.status === 200, text: line! };
}
