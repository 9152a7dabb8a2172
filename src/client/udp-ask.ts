import { type Banner, readBanner } from "../net/banner.ts";
import { Failure } from "./failure.ts";
import type { UdpFlow } from "./udp-flow.ts";
import { Patience } from "./wake.ts";

/** A datagram and its echo. */
export interface UdpEcho {
  /** What the server said of the session before; null where it said nothing. */
  readonly banner: Banner | null;
  /** From the latest sending of the datagram to its echo, in ms. */
  readonly roundTripMs: number;
}

/**
 * Sends one datagram and waits for its echo from the end that was asked, which may come after a banner. What else comes
 * is passed over: late answers to earlier ones, strangers'. Where nothing right comes the failure is the last one that was
 * told; `corrupted` if something else came, `timeout` if nothing did.
 * @param message must be unlike those asked with before (`makePayload`)
 * @param retryMs sends it again each time nothing came for so long; default: never
 */
export async function askUdp(
  flow: UdpFlow,
  message: Uint8Array,
  timeoutMs: number,
  retryMs = Number.POSITIVE_INFINITY,
): Promise<UdpEcho | Failure> {
  const patience = new Patience(timeoutMs);
  let banner: Banner | null = null;
  let failure: Failure | null = null;
  let sentAtMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    if (performance.now() - sentAtMs >= retryMs || sentAtMs === Number.NEGATIVE_INFINITY) {
      sentAtMs = performance.now();
      const notSent = flow.send(message);
      if (notSent !== null && retryMs === Number.POSITIVE_INFINITY) return notSent;
      failure = notSent ?? failure;
    }
    const leftMs = Math.min(patience.leftMs, sentAtMs + retryMs - performance.now());
    const came = await flow.receive(Math.max(0, leftMs));
    if (came instanceof Failure) {
      if (came.code === "ended" || came.code === "aborted") return came;
      if (came.code !== "timeout") failure = came;
      else if (patience.leftMs <= 0) return failure ?? came;
    } else if (flow.isFromTarget(came)) {
      if (Buffer.compare(came.bytes, message) === 0) return { banner, roundTripMs: came.atMs - sentAtMs };
      const said = readBanner(came.bytes);
      if (said !== null) banner = said;
      else failure = new Failure("corrupted", 0, "", came.bytes);
    }
  }
}
