import { Failure, type FailureCode } from "../client/failure.ts";
import { makePayload, newRun } from "../client/payload.ts";
import { askUdp } from "../client/udp-ask.ts";
import { UdpFlow } from "../client/udp-flow.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Task } from "./task.ts";

export interface UdpAsk {
  readonly target: Endpoint;
  /** Payload bytes, from `WHOLE_BYTES` on. */
  readonly size: number;
  readonly timeoutMs: number;
}

/** What became of it; the failure's code where nothing right came back. */
export interface UdpAnswer {
  readonly bySystemCalls: boolean;
  readonly roundTripMs: number | null;
  readonly failure: FailureCode | null;
}

/** The smallest question: one datagram from a new port, and its echo. Tells the port before it asks. */
export const udpAskTask: Task<UdpAsk, { readonly port: number }, UdpAnswer> = async (ask, context) => {
  const { sockets, signal } = context;
  const { bySystemCalls, openUdp } = sockets;
  const flow = await UdpFlow.open(ask.target, { open: openUdp, signal });
  if (flow instanceof Failure) return { bySystemCalls, roundTripMs: null, failure: flow.code };
  await using _ = flow;
  context.emit({ port: flow.local.port });
  const message = makePayload({ run: newRun(), flow: 0 }, 0, ask.size);
  const echo = await askUdp(flow, message, ask.timeoutMs);
  if (echo instanceof Failure) return { bySystemCalls, roundTripMs: null, failure: echo.code };
  return { bySystemCalls, roundTripMs: echo.roundTripMs, failure: null };
};
