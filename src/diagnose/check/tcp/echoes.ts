import { sleep } from "../../../client/deadlines.ts";
import { Failure } from "../../../client/failure.ts";
import { RoundTrips } from "../../../client/round-trips.ts";
import type { TcpSession } from "../../../client/tcp-session.ts";
import type { CheckSettings } from "../plan.ts";
import { type Messages, messageOf, whatCame } from "./messages.ts";
import type { FlowSeen } from "./seen.ts";

/** After a wrong byte, for the rest of what is in its place. */
const REST_MS = 100;

type EchoesSeen = Pick<FlowSeen, "sent" | "received" | "roundTrips" | "failure" | "wrong">;

/**
 * Has a session's echoes: one in flight until the first is back or `timeoutMs` is over, then one each interval, whatever
 * comes. An echo is waited for from its sending, or from the echo before it, which a stream brings first. A session that
 * brings nothing is sent all the same, as far as there is room, and not waited for any longer; one that falls silent
 * later ends there.
 */
export async function askEchoes(
  session: TcpSession,
  messages: Messages,
  settings: CheckSettings,
): Promise<EchoesSeen> {
  const run = new EchoRun(session, messages, settings);
  await run.ask();
  const { sent, received, roundTrips, failure, wrong } = run;
  return { sent, received, roundTrips, failure, wrong };
}

class EchoRun {
  sent = 0;
  received = 0;
  readonly roundTrips = new RoundTrips();
  failure: Failure | null = null;
  wrong: FlowSeen["wrong"] = null;
  readonly #session: TcpSession;
  readonly #messages: Messages;
  readonly #settings: CheckSettings;
  /** Of the messages under way, the first first. */
  readonly #sentAtMs: number[] = [];
  #lastSentAtMs = 0;
  #lastEchoAtMs = 0;

  constructor(session: TcpSession, messages: Messages, settings: CheckSettings) {
    this.#session = session;
    this.#messages = messages;
    this.#settings = settings;
  }

  async ask(): Promise<void> {
    const session = this.#session;
    for (;;) {
      const { fault } = session;
      if (fault !== null && !this.#isDone()) return this.#end(fault);
      if (performance.now() >= this.#sendMs()) this.#send();
      if (this.#isDone()) break;
      const dueMs = Math.min(this.#sendMs(), this.#deadlineMs());
      const changed = await session.change(dueMs - performance.now());
      // What may still be in the socket is not missing: only after a look that found nothing.
      if (!changed && performance.now() >= this.#deadlineMs()) {
        this.failure = new Failure("silent", session.echoedBytes);
        if (this.received > 0) return;
      }
    }
    if (this.failure === null && session.excessBytes > 0) await this.#lookAtExcess();
  }

  /** The first echo is waited for. */
  #isFirst(): boolean {
    return this.received === 0 && this.failure === null;
  }

  #isDone(): boolean {
    const allSent = this.sent === this.#settings.count;
    if (this.failure !== null) return allSent || this.#session.unsentBytes > 0;
    return allSent && this.#sentAtMs.length === 0;
  }

  /** When the next one is to be sent; Infinity where none is as things are. */
  #sendMs(): number {
    if (this.sent === 0) return 0;
    const waits = this.#isFirst() || this.sent === this.#settings.count || this.#session.unsentBytes > 0;
    return waits ? Number.POSITIVE_INFINITY : this.#lastSentAtMs + this.#settings.intervalMs;
  }

  /** When the first one under way is late; Infinity where nothing is waited for. */
  #deadlineMs(): number {
    const [sentAtMs] = this.#sentAtMs;
    if (sentAtMs === undefined || this.failure !== null) return Number.POSITIVE_INFINITY;
    return Math.max(sentAtMs, this.#lastEchoAtMs) + this.#settings.timeoutMs;
  }

  #send(): void {
    const message = messageOf(this.#messages, this.sent++);
    this.#lastSentAtMs = performance.now();
    this.#sentAtMs.push(this.#lastSentAtMs);
    this.#session.send(message, (atMs) => this.#echoed(atMs)); // a failure is the session's fault from then on
  }

  #echoed(atMs: number): void {
    this.received++;
    this.roundTrips.add(atMs - this.#sentAtMs.shift()!);
    this.#lastEchoAtMs = atMs;
  }

  /** No more will come that is right. */
  async #end(fault: Failure): Promise<void> {
    if (fault.received !== null) {
      await this.#takeWrong(fault);
    } else if (this.#sentAtMs.length === 0 && this.#session.excessBytes > 0) {
      // Who says something else than a banner and ends the session has answered in place of the echo.
      if (this.sent < this.#settings.count) this.sent++;
      const { code, bytes, detail } = fault;
      this.failure ??= new Failure("corrupted", bytes, detail || code, this.#session.excess);
      this.#judge(this.#session.excess);
    } else {
      this.failure ??= fault;
    }
  }

  /** What came beyond all echoes is looked at by asking for one more, which is not counted. */
  async #lookAtExcess(): Promise<void> {
    const { ended } = this.#session;
    if (ended !== null) return this.#end(ended);
    const echo = await this.#session.echo(messageOf(this.#messages, this.sent), REST_MS);
    if (!(echo instanceof Failure)) return;
    if (echo.received !== null) await this.#takeWrong(echo);
    else this.failure = echo;
  }

  async #takeWrong(fault: Failure): Promise<void> {
    this.failure = fault;
    await sleep(REST_MS);
    this.#judge(this.#session.fault?.received ?? fault.received!);
  }

  /** @param received in place of the first message that is not back */
  #judge(received: Uint8Array): void {
    const number = this.received;
    this.wrong = whatCame(this.#messages, number, messageOf(this.#messages, number), received, this.sent);
  }
}
