import type { Source } from "../../client/dial.ts";
import { Failure } from "../../client/failure.ts";
import { makePayload } from "../../client/payload.ts";
import { TcpSession } from "../../client/tcp-session.ts";
import { UdpFlow } from "../../client/udp-flow.ts";
import { type Banner, readBanner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { Protocol } from "../result.ts";
import { flowText } from "../words.ts";
import { otherAddress } from "./faults.ts";
import type { Visit, Welcome } from "./newcomer-probe.ts";
import { PAYLOAD_BYTES, type ProbeContext } from "./probe.ts";

const FOR_EVER = Number.POSITIVE_INFINITY;

/** A new TCP session with one echo, which is then reset, so that no port stays in TIME-WAIT. */
export const visitByTcp: Visit = async (end, context, signal, accepted) => {
  const { sockets, state, newKey } = context;
  const source = await sourceFor("tcp", end, context);
  const session = await TcpSession.open(end, {
    connectTimeoutMs: FOR_EVER,
    signal,
    dial: sockets.dial,
    source,
  });
  if (session instanceof Failure) return inTime(session, "timeout");
  accepted();
  state.opened(flowText("tcp", session.local, end)); // for sockets that could not tell it before
  const echo = await session.echo(makePayload(newKey(), 0, PAYLOAD_BYTES), FOR_EVER);
  await session.reset();
  // A connect alone proves nothing: a stopped server's backlog accepts as well.
  return echo instanceof Failure
    ? inTime(echo, "silent")
    : { banner: session.banner, roundTripMs: echo.roundTripMs };
};

/** One datagram from a new source port. */
export const visitByUdp: Visit = async (end, context, signal) => {
  const { sockets, newKey } = context;
  const source = await sourceFor("udp", end, context);
  const flow = await UdpFlow.open(end, { open: sockets.openUdp, signal, source });
  if (flow instanceof Failure) return inTime(flow, "timeout");
  const message = makePayload(newKey(), 0, PAYLOAD_BYTES);
  const sentAtMs = performance.now();
  const came = flow.send(message) ?? (await echoOf(flow, message, sentAtMs, context));
  flow.end();
  return came instanceof Failure ? inTime(came, "timeout") : came;
};

/** Waits for the echo, which may come after a banner. */
async function echoOf(
  flow: UdpFlow,
  message: Uint8Array,
  sentAtMs: number,
  { state, agenda }: ProbeContext,
): Promise<Welcome | Failure> {
  let banner: Banner | null = null;
  for (;;) {
    const came = await flow.receive(FOR_EVER);
    if (came instanceof Failure) return came;
    const isEcho = Buffer.compare(came.bytes, message) === 0;
    if (!flow.isFromTarget(came)) {
      const from = came.from === null ? "an unknown end" : formatEndpoint(came.from);
      if (isEcho) state.problem(agenda.now(), otherAddress(from), { from });
      continue;
    }
    if (isEcho) return { banner, roundTripMs: came.atMs - sentAtMs };
    const said = readBanner(came.bytes);
    if (said === null) return new Failure("corrupted", 0, "", came.bytes);
    banner = said;
  }
}

/** What was given up when its time was over is called by what was missing then. */
function inTime(failure: Failure, missing: "timeout" | "silent"): Failure {
  return failure.code === "aborted" ? new Failure(missing, failure.bytes) : failure;
}

/** A source that says between which ends the flow goes, before anything leaves. */
export async function sourceFor(
  protocol: Protocol,
  end: Endpoint,
  { ownAddress, state }: ProbeContext,
): Promise<Source> {
  const own = await ownAddress(end);
  const bound = (port: number): void => {
    if (own !== null) state.opened(flowText(protocol, { ...own, port }, end));
  };
  return { bound };
}
