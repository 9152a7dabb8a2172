import type { Source } from "../../src/client/dial.ts";
import { Failure } from "../../src/client/failure.ts";
import { makePayload, newRun } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { askUdp } from "../../src/client/udp-ask.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { parseAddress } from "../../src/net/address.ts";
import { type Endpoint, endpointOf } from "../../src/net/endpoint.ts";
import { hostPort, reasonOf } from "../generator/reason.ts";

/** How long a connect may take, and then an answer. */
const PATIENCE_MS = 3000;
/** A datagram without an answer is sent again after so long. */
const RETRY_MS = 100;

/** Shorter than any message that a faulty server of `bench/dev/` takes for one: this question is not measured. */
export const PROBE_BYTES = 8;

const RUN = newRun();
let questions = 0;

/** A payload unlike those before: a late answer to an earlier question is not taken for this one's. */
function newPayload(): Uint8Array {
  return makePayload({ run: RUN, flow: questions++ }, 0, PROBE_BYTES);
}

/**
 * Whether a new TCP session begins with something else than its echo: our banner, or any other greeting.
 * Throws, and says why, if nobody is there.
 * @param host an IP address
 * @param source the address to come from; null: as the system chooses
 */
export async function tcpSpeaksFirst(host: string, port: number, source: string | null): Promise<boolean> {
  const session = await TcpSession.open(targetAt(host, port), {
    connectTimeoutMs: PATIENCE_MS,
    ...from(source),
  });
  if (session instanceof Failure)
    throw new Error(`no connection to tcp ${hostPort(host, port)}: ${reasonOf(session)}`);
  await using _ = session;
  const answer = await session.echo(newPayload(), PATIENCE_MS);
  const greetedOtherwise = answer instanceof Failure && answer.code === "corrupted" && answer.bytes === 0;
  return session.banner !== null || greetedOtherwise;
}

/**
 * Whether a new UDP session begins with our banner. Throws if it is not answered at all.
 * @param host an IP address
 * @param source the address to come from; null: as the system chooses
 */
export async function udpGreets(host: string, port: number, source: string | null): Promise<boolean> {
  const flow = await UdpFlow.open(targetAt(host, port), { connected: true, ...from(source) });
  if (flow instanceof Failure) throw new Error(`no socket to udp ${hostPort(host, port)}: ${reasonOf(flow)}`);
  await using _ = flow;
  const answer = await askUdp(flow, newPayload(), PATIENCE_MS, RETRY_MS);
  if (!(answer instanceof Failure)) return answer.banner !== null;
  if (answer.code === "corrupted") return false; // somebody answers, and what is wrong with it is to be measured
  throw new Error(`nobody answers on udp ${hostPort(host, port)}: ${reasonOf(answer)}`);
}

function targetAt(host: string, port: number): Endpoint {
  const target = endpointOf(host, port);
  if (target === null) throw new Error(`${hostPort(host, port)} is no address and port`);
  return target;
}

/** A session's or flow's end here. */
function from(source: string | null): { readonly source?: Source } {
  const address = source === null ? null : parseAddress(source);
  return address === null ? {} : { source: { address } };
}
