import { Failure } from "../../client/failure.ts";
import { type FlowKey, makePayload } from "../../client/payload.ts";
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
  SILENT_MAX,
  seenOf,
  tookMs,
  UNDER_WAY_MAX,
} from "./probe.ts";
import { Restraint } from "./restraint.ts";
import { type Attempt, attemptAt, connectFor } from "./tcp-attempt.ts";

/** A session that is held. */
interface Held {
  readonly session: TcpSession;
  readonly key: FlowKey;
  /** When the messages were sent whose echo is waited for, by their numbers. */
  readonly underWay: Map<number, number>;
  sent: number;
  /** Whether anything came back whole. */
  wasAnswered: boolean;
  /** Probes of it in a row that were not answered as they must be. */
  silent: number;
}

/**
 * `tcp-held`: one session for as long as it lives and is answered, and then another, opened when the next probe is due. A
 * session that ends while none of its probes is under way says nothing by that: servers are restarted, and close what is
 * idle. What the next probe comes to is told.
 */
export class TcpHeld implements PeerProbe {
  readonly #context: ProbeContext;
  readonly #end: Endpoint;
  #attempt: Attempt | null = null;
  /** The one that probes go by; null while there is none. */
  #held: Held | null = null;
  /** All that are open: that one, and others whose last probes are still waited for. */
  readonly #open = new Set<Held>();
  /** One was due while another was in the way; it goes when that is decided. */
  #isDue = false;
  readonly #restraint: Restraint;
  #over = false;

  constructor(context: ProbeContext, end: Endpoint) {
    this.#context = context;
    this.#end = end;
    this.#restraint = new Restraint(context.sockets.bySystemCalls);
  }

  due(): void {
    const held = this.#held;
    const isInTheWay = held === null ? this.#attempt !== null : !held.wasAnswered && held.underWay.size > 0;
    this.#isDue = isInTheWay;
    if (this.#over || isInTheWay) return;
    if (held === null) void this.#connect();
    else if (held.underWay.size < UNDER_WAY_MAX) this.#send(held, this.#context.agenda.now());
  }

  look(nowMs: number): void {
    for (const held of this.#open) this.#lookAt(held, nowMs);
    const attempt = this.#attempt;
    if (attempt !== null && isOverdue(this.#context, attempt.sentMs, nowMs)) {
      this.#attempt = null;
      attempt.controller.abort();
      this.#restraint.ended(true);
      const { sentMs, flow } = attempt;
      this.#tell({ fault: "timeout", sentMs, isSent: true, banner: null, flow });
    }
    if (this.#isDue) this.due();
  }

  /** Lets the session go, once what is under way is decided. The next probe goes by a new one. */
  release(): void {
    const held = this.#held;
    this.#held = null;
    if (held?.underWay.size === 0) this.#close(held);
  }

  end(): void {
    this.#over = true;
    this.#attempt?.controller.abort();
    for (const held of this.#open) this.#close(held);
  }

  /** Connects, and sends the first message at once: both are the same probe. */
  async #connect(): Promise<void> {
    const { agenda, ownEnd, newKey } = this.#context;
    const sentMs = agenda.now();
    if (!this.#restraint.mayGo(sentMs)) {
      this.#tell(heldBack(sentMs));
      return;
    }
    const attempt = attemptAt(sentMs);
    this.#attempt = attempt;
    const session = await connectFor(attempt, await ownEnd(), this.#end, this.#context);
    if (this.#attempt !== attempt || this.#over) return; // it was given up, and that was told
    this.#attempt = null;
    this.#restraint.ended(false);
    if (session instanceof Failure) {
      const { flow } = attempt;
      this.#tell({ fault: faultOf(session), sentMs, isSent: isSent(session), banner: null, flow });
      return;
    }
    const held: Held = {
      session,
      key: newKey(),
      underWay: new Map(),
      sent: 0,
      wasAnswered: false,
      silent: 0,
    };
    this.#held = held;
    this.#open.add(held);
    this.#send(held, agenda.now(), attempt.sentMs);
  }

  /** @param sinceMs from when on its time counts */
  #send(held: Held, nowMs: number, sinceMs = nowMs): void {
    const number = held.sent++;
    held.underWay.set(number, sinceMs);
    const message = makePayload(held.key, number, PAYLOAD_BYTES);
    const failure = held.session.send(message, (atMs) => this.#answered(held, number, nowMs, atMs));
    if (failure !== null) this.#broke(held, failure);
  }

  #answered(held: Held, number: number, sentMs: number, atMs: number): void {
    held.wasAnswered = true;
    const sinceMs = held.underWay.get(number);
    const isLate = sinceMs === undefined || isOverdue(this.#context, sinceMs, atMs);
    const isWaitedFor = held.underWay.delete(number);
    const { banner } = held.session;
    if (isLate) {
      held.silent = 0; // a stream loses nothing: the path is slow, and the session is not stuck
      if (isWaitedFor) this.#decide(held, { fault: "silent", sentMs, isSent: true, banner });
      held.silent = 0;
      return;
    }
    const fault = this.#context.identity.ofSession(banner, this.#end, this.#context.agenda.now());
    const rttMs = fault === null ? tookMs(this.#context, sentMs, atMs) : null;
    this.#decide(held, { fault, sentMs, isSent: true, banner, rttMs });
  }

  #lookAt(held: Held, nowMs: number): void {
    const { session, underWay } = held;
    const failure = session.fault; // bytes that nobody asked for are held against the next message
    if (failure !== null) {
      this.#broke(held, failure);
      return;
    }
    for (const [number, sentMs] of underWay) {
      if (!isOverdue(this.#context, sentMs, nowMs)) break;
      underWay.delete(number);
      this.#decide(held, { fault: "silent", sentMs, isSent: true, banner: session.banner });
    }
    if (this.#held !== held && underWay.size === 0) this.#close(held);
  }

  /** What is under way has no answer any more. */
  #broke(held: Held, failure: Failure): void {
    const { banner } = held.session;
    const fault = faultOf(failure);
    const waiting = [...held.underWay.values()];
    this.#close(held);
    // Wrong bytes are one fault, however many messages wait behind them.
    for (const [each, sentMs] of waiting.entries()) {
      const corrupted = fault === "corrupted" && each === 0 ? 1 : 0;
      this.#decide(held, { fault, sentMs, isSent: true, banner, corrupted });
    }
  }

  /** The fate of one of a session's messages is known. */
  #decide(held: Held, outcome: Outcome): void {
    held.silent = outcome.fault === null ? 0 : held.silent + 1;
    if (held.silent >= SILENT_MAX && this.#held === held) this.#held = null;
    this.#tell({ ...outcome, flow: flowText("tcp", held.session.local, this.#end) });
  }

  #tell(outcome: Outcome): void {
    if (!this.#over) this.#context.tell(seenOf(this.#context.peer, "tcp-held", outcome, Date.now()));
  }

  #close(held: Held): void {
    this.#open.delete(held);
    if (this.#held === held) this.#held = null;
    held.underWay.clear();
    void held.session.reset();
  }
}
