import { timer } from "../../../client/deadlines.ts";
import type { Source } from "../../../client/dial.ts";
import { Failure } from "../../../client/failure.ts";
import type { FlowKey } from "../../../client/payload.ts";
import { RoundTrips } from "../../../client/round-trips.ts";
import { TcpSession } from "../../../client/tcp-session.ts";
import type { Endpoint } from "../../../net/endpoint.ts";
import type { CheckContext, CheckSettings } from "../plan.ts";
import { askBulk } from "./bulk.ts";
import { askEchoes } from "./echoes.ts";
import type { Messages } from "./messages.ts";
import type { FlowSeen } from "./seen.ts";

/** A connect waits as long, whatever `--timeout`: one whose first three SYNs are lost takes 7 s. */
const CONNECT_MS_MIN = 8000;

/** A connect that takes longer lost a SYN: the next one is sent after 1 s (RFC 6298, 2.1), and its answer has the rest. */
const SLOW_CONNECT_MS = 1200;

/** What a session is to do. */
export interface FlowPlan {
  readonly target: Endpoint;
  /** Another one for each session. */
  readonly key: FlowKey;
  readonly context: CheckContext;
  /** The end from which this machine goes there, its port being 0; null where there is no way from here. */
  ownEnd(): Promise<Endpoint | null>;
  /** Whether this session, whose echoes all came back, is the one that carries the bulk. Asked once at most. */
  claimBulk(): boolean;
  /** Told where there is still no connection after so long that others need not wait for this one. */
  slowToConnect(): void;
}

/** What is being found out. */
type Draft = { -readonly [Field in keyof FlowSeen]: FlowSeen[Field] };

/** How long a connect may take. */
export function connectTimeoutMs({ timeoutMs }: CheckSettings): number {
  return Math.max(timeoutMs, CONNECT_MS_MIN);
}

/** Payload of an echo: a stream has no empty message. */
function echoBytes({ size }: CheckSettings): number {
  return Math.max(1, size);
}

/** Opens a session, has its echoes and maybe the bulk, and ends it by a reset. */
export async function askFlow(plan: FlowPlan): Promise<FlowSeen> {
  const draft = nothingYet();
  const alarm = timer(SLOW_CONNECT_MS, () => plan.slowToConnect());
  const { session, port } = await connect(plan);
  clearTimeout(alarm);
  if (session instanceof Failure) {
    const own = await plan.ownEnd();
    return { ...draft, own: own === null ? null : { ...own, port }, failure: session };
  }
  await using _ = session;
  draft.own = session.local;
  draft.connectMs = session.connectMs;
  draft.synRetransmits = session.info?.retransmits ?? null;
  const messages = { key: plan.key, size: echoBytes(plan.context.settings) };
  Object.assign(draft, await askEchoes(session, messages, plan.context.settings));
  draft.info = session.info;
  if (draft.failure === null && plan.claimBulk()) await carryBulk(session, messages, plan.context, draft);
  const { info } = session;
  draft.retransmits = info === null ? null : info.retransmits - (draft.synRetransmits ?? 0);
  draft.firstByteMs = session.firstByteMs;
  draft.banner = session.banner;
  return draft;
}

function nothingYet(): Draft {
  return {
    own: null,
    connectMs: null,
    firstByteMs: null,
    banner: null,
    sent: 0,
    received: 0,
    roundTrips: new RoundTrips(),
    failure: null,
    wrong: null,
    synRetransmits: null,
    info: null,
    retransmits: null,
    bulk: null,
  };
}

/**
 * Connects; `port` is this end's, 0 where the system did not tell it. It is bound before the first packet leaves, so
 * that the flow of a connect that fails can be named. Where no port is left to be bound, the kernel may still have
 * one for a connect, which may share it with sessions to other ends.
 */
async function connect({
  target,
  context,
}: FlowPlan): Promise<{ session: TcpSession | Failure; port: number }> {
  const { source } = context.settings;
  let port = source.port ?? 0;
  const bound = (own: number): void => {
    port = own;
  };
  const open = (from: Source): Promise<TcpSession | Failure> =>
    TcpSession.open(target, {
      connectTimeoutMs: connectTimeoutMs(context.settings),
      source: from,
      signal: context.signal,
      dial: context.sockets.dial,
    });
  const session = await open({ ...source, bound });
  const mayShare =
    session instanceof Failure && session.code === "no_ports_here" && source.port === undefined;
  return { session: mayShare ? await open(source) : session, port };
}

async function carryBulk(
  session: TcpSession,
  messages: Messages,
  { settings }: CheckContext,
  draft: Draft,
): Promise<void> {
  const { bulk, failure, wrong } = await askBulk(session, messages, settings.count, settings);
  draft.bulk = bulk;
  draft.failure = failure;
  draft.wrong = wrong;
}
