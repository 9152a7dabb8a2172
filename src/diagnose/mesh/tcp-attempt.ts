import type { Failure } from "../../client/failure.ts";
import { TcpSession } from "../../client/tcp-session.ts";
import { type Endpoint, formatEndpoint, hostOf } from "../../net/endpoint.ts";
import { flowText } from "../words.ts";
import type { ProbeContext } from "./probe.ts";

/** A session that is asked for, or there. */
export interface Attempt {
  readonly sentMs: number;
  /** Ends it, and the session that came of it: its time is up, or nobody asks any more. */
  readonly controller: AbortController;
  /** Null until this end's address is known; its port follows, where the sockets tell it before they are connected. */
  flow: string | null;
}

export function attemptAt(sentMs: number): Attempt {
  return { sentMs, controller: new AbortController(), flow: null };
}

/**
 * Connects for the attempt, which its controller alone gives up: how long a probe may take is counted without the time
 * that this process slept through.
 * @param own this end, as far as it is known before the connect
 */
export function connectFor(
  attempt: Attempt,
  own: Endpoint | null,
  end: Endpoint,
  { sockets }: ProbeContext,
): Promise<TcpSession | Failure> {
  if (own !== null) attempt.flow = `tcp ${hostOf(own)} > ${formatEndpoint(end)}`;
  const bound = (port: number): void => {
    if (own !== null) attempt.flow = flowText("tcp", { ...own, port }, end);
  };
  return TcpSession.open(end, {
    connectTimeoutMs: Number.POSITIVE_INFINITY,
    signal: attempt.controller.signal,
    dial: sockets.dial,
    source: { bound },
  });
}
