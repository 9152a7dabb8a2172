import { Failure } from "../../client/failure.ts";
import { makePayload } from "../../client/payload.ts";
import type { TcpSession } from "../../client/tcp-session.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { flowText } from "../words.ts";
import {
  faultOf,
  heldBack,
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
import { type Attempt, attemptAt, connectFor } from "./tcp-attempt.ts";

const FOR_EVER = Number.POSITIVE_INFINITY;

/** `tcp-new`: a new session each time, with one echo, which is then reset, so that no port stays in TIME-WAIT. */
export class TcpNew implements PeerProbe {
  readonly #context: ProbeContext;
  readonly #end: Endpoint;
  readonly #attempts = new Set<Attempt>();
  readonly #onRefused: () => void;
  readonly #restraint: Restraint;
  #wasRefused = false;
  #over = false;

  /** @param onRefused told when it was refused, and had not been the time before */
  constructor(context: ProbeContext, end: Endpoint, onRefused: () => void) {
    this.#context = context;
    this.#end = end;
    this.#onRefused = onRefused;
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
      tell(seenOf(peer, "tcp-new", heldBack(sentMs), Date.now()));
      return;
    }
    const attempt = attemptAt(sentMs);
    this.#attempts.add(attempt);
    const outcome = await this.#visit(attempt, own);
    this.#attempts.delete(attempt);
    if (this.#over) return;
    tell(seenOf(peer, "tcp-new", outcome, Date.now()));
    const isRefused = outcome.fault === "refused";
    if (isRefused && !this.#wasRefused) this.#onRefused();
    this.#wasRefused = isRefused;
  }

  async #visit(attempt: Attempt, own: Endpoint | null): Promise<Outcome> {
    const { agenda, newKey } = this.#context;
    const session = await connectFor(attempt, own, this.#end, this.#context);
    const connectedMs = agenda.now();
    this.#restraint.ended(session instanceof Failure && session.code === "aborted");
    if (session instanceof Failure) {
      const { sentMs, flow } = attempt;
      return { fault: faultOf(session), sentMs, isSent: isSent(session), banner: null, flow };
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
  #judge(session: TcpSession, attempt: Attempt, connectedMs: number, failure: Failure | null): Outcome {
    const { agenda, identity } = this.#context;
    const { banner, lastByteAtMs } = session;
    const known = {
      sentMs: attempt.sentMs,
      isSent: true,
      banner,
      flow: flowText("tcp", session.local, this.#end),
    };
    const isWrong = session.excessBytes > 0 || failure?.code === "corrupted";
    if (isWrong) return { ...known, fault: "corrupted", corrupted: 1 };
    if (failure !== null) {
      return { ...known, fault: failure.code === "aborted" ? "silent" : faultOf(failure) };
    }
    if (isOverdue(this.#context, attempt.sentMs, lastByteAtMs)) return { ...known, fault: "silent" };
    const fault = identity.ofSession(banner, this.#end, agenda.now());
    return {
      ...known,
      fault,
      rttMs: fault === null ? tookMs(this.#context, connectedMs, lastByteAtMs) : null,
    };
  }
}
