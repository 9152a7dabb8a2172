import type { Failure } from "../client/failure.ts";
import { makePayload, newRun } from "../client/payload.ts";

/** What comes of a try of the front door. The order is the order of `echo_probe_total`. */
export const PROBE_RESULTS = [
  /** The echo came back. */
  "ok",
  /** Nothing, or too little, within the time. */
  "timeout",
  /** Nothing listens there. */
  "refused",
  /** The connection was closed or reset before the echo. */
  "closed",
  /** Something else than an echo came back. */
  "wrong",
  /** The probe itself had no socket: no descriptor, say. */
  "failed",
] as const;
export type ProbeResult = (typeof PROBE_RESULTS)[number];

/** What went wrong, for the counter and in words. */
export interface ProbeFault {
  readonly result: Exclude<ProbeResult, "ok">;
  readonly why: string;
}

/** Bytes that are sent and must come back: few enough for one segment. */
const NONCE_BYTES = 40;

/** What a probe sends: nobody else does, and neither a banner nor a PROXY header starts so. */
export function makeNonce(): Uint8Array {
  return makePayload({ run: newRun(), flow: 0 }, 0, NONCE_BYTES);
}

/** What the failure of a question means. @param timeoutMs how long its answer was waited for */
export function probeFault({ code, detail }: Failure, timeoutMs: number): ProbeFault {
  switch (code) {
    case "timeout":
    case "silent":
      return { result: "timeout", why: `no echo within ${timeoutMs} ms` };
    case "closed":
    case "reset":
    case "ended": // here: the server stops
    case "aborted":
      return { result: "closed", why: "the connection was closed before the echo" };
    case "corrupted":
      return { result: "wrong", why: "something else than an echo came back" };
    case "refused":
      return { result: "refused", why: `cannot connect: ${detail}` };
    case "unreachable":
    case "refused_or_unreachable":
    case "too_big":
    case "fault":
      return { result: "failed", why: `cannot connect: ${detail}` };
    default: // what this machine does not give
      return { result: "failed", why: `cannot open a socket: ${detail}` };
  }
}
