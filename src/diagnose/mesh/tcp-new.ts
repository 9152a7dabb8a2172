import { Failure } from "../../client/failure.ts";
import { makePayload } from "../../client/payload.ts";
import { TcpSession } from "../../client/tcp-session.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { flowText } from "../words.ts";
import {
  faultOf,
  HELD_BACK,
  isOverdue,
  isSent,
  type Outcome,
  PAYLOAD_BYTES,
  type PeerProbe,
  type ProbeContext,
  seenOf,
  tookMs,
  UNDER_WAY_MAX,
} from "./probe.ts";
import { Restraint } from "./restraint.ts";

const FOR_EVER = Number.POSITIVE_INFINITY;

/** A session that is asked for, or there. */
interface Attempt {
  readonly sentMs: number;
  /** Ends it: its time is up, or nobody asks any more. */
  readonly controller: AbortController;
  flow: string | null;
}

/** `tcp-new`: a new session each time, with one echo, which is then reset, so that no port stays in TIME-WAIT. */
export class TcpNew implements PeerProbe {
  readonly #context: ProbeContext;
  readonly #end: Endpoint;
  readonly #attempts = new Set<Attempt>();
  readonly #restraint: Restraint;
  #over = false;

  constructor(context: ProbeContext, end: Endpoint) {
    this.#context = context;
    this.#end = end;
    this.#restraint = new Restraint(context.sockets.bySystemCalls);
  }

  due(): void {
    if (this.#attempts.size < UNDER_WAY_MAX) void this.#attempt();
  }

  look(nowMs: number): void {
    for (const { sentMs, controller } of this.#attempts) {
      if (isOverdue(this.#context, sentMs, nowMs)) controller.abort();
    }
  }

  end(): void {
    this.#over = true;
    for (const { controller } of this.#attempts) controller.abort();
  }

  async #attempt(): Promise<void> {
    const { peer, agenda, tell, ownEnd } = this.#context;
    const own = await ownEnd();
    if (this.#over) return;
    const sentMs = agenda.now();
    if (!this.#restraint.mayGo(sentMs)) {
      tell(seenOf(peer, "tcp-new", HELD_BACK, Date.now()));
      return;
    }
    const attempt: Attempt = { sentMs, controller: new AbortController(), flow: null };
    this.#attempts.add(attempt);
    const bound = (port: number): void => {
      if (own !== null) attempt.flow = flowText("tcp", { ...own, port }, this.#end);
    };
    const outcome = await this.#visit(attempt, bound);
    this.#attempts.delete(attempt);
    if (!this.#over) tell(seenOf(peer, "tcp-new", outcome, Date.now()));
  }

  async #visit(attempt: Attempt, bound: (port: number) => void): Promise<Outcome> {
    const { sockets, agenda, newKey } = this.#context;
    const session = await TcpSession.open(this.#end, {
      connectTimeoutMs: FOR_EVER,
      signal: attempt.controller.signal,
      dial: sockets.dial,
      source: { bound },
    });
    const connectedMs = agenda.now();
    this.#restraint.ended(session instanceof Failure && session.code === "aborted");
    if (session instanceof Failure) {
      return { fault: faultOf(session), isSent: isSent(session), banner: null, flow: attempt.flow };
    }
    // What this process slept through is no time of the path's.
    const slept = agenda.stalls.between(attempt.sentMs, connectedMs) > 0;
    const connectMs = slept ? null : session.connectMs;
    const echo = await session.echo(makePayload(newKey(), 0, PAYLOAD_BYTES), FOR_EVER);
    const outcome = this.#judge(session, attempt, connectedMs, echo instanceof Failure ? echo : null);
    await session.reset();
    return { ...outcome, connectMs };
  }

  /** A connect alone proves nothing: a stopped server's backlog accepts as well. */
  #judge(session: TcpSession, attempt: Attempt, sentMs: number, failure: Failure | null): Outcome {
    const { agenda, identity } = this.#context;
    const { banner, lastByteAtMs } = session;
    const known = { isSent: true, banner, flow: flowText("tcp", session.local, this.#end) };
    const isWrong = session.excessBytes > 0 || failure?.code === "corrupted";
    if (isWrong) return { ...known, fault: "corrupted", corrupted: 1 };
    if (failure !== null) {
      return { ...known, fault: failure.code === "aborted" ? "silent" : faultOf(failure) };
    }
    if (isOverdue(this.#context, attempt.sentMs, lastByteAtMs)) return { ...known, fault: "silent" };
    const fault = identity.ofSession(banner, this.#end, agenda.now());
    return { ...known, fault, rttMs: fault === null ? tookMs(this.#context, sentMs, lastByteAtMs) : null };
  }
}
