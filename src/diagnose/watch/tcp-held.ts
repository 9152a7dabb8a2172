import { Failure } from "../../client/failure.ts";
import { type FlowKey, makePayload } from "../../client/payload.ts";
import { RoundTrips } from "../../client/round-trips.ts";
import { TcpSession } from "../../client/tcp-session.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { flowText } from "../words.ts";
import { PAYLOAD_BYTES, type Probe, type ProbeContext, type ProbeFigures, tookMs } from "./probe.ts";
import { StreamBook } from "./stream-outages.ts";
import { sourceFor } from "./visits.ts";

/** Messages on their way at most: what is beyond would only pile up behind them. */
const UNDER_WAY_MAX = 1000;

/** `tcp-held`: one session for as long as it lives, and then another. */
export class TcpHeld implements Probe {
  readonly #context: ProbeContext;
  readonly #book: StreamBook;
  readonly #roundTrips = new RoundTrips();
  #session: TcpSession | null = null;
  #key: FlowKey;
  /** Messages of this session that were sent, and that came back. */
  #number = 0;
  #whole = 0;
  #isConnecting = false;
  #corrupted = 0;
  readonly #over = new AbortController();

  constructor(context: ProbeContext) {
    this.#context = context;
    this.#key = context.newKey();
    this.#book = new StreamBook(context.settings.timeoutMs);
  }

  due(nowMs: number): void {
    const end = this.#context.heldEnd();
    if (this.#over.signal.aborted || this.#isConnecting || end === null) return;
    if (this.#session === null) void this.#connect(end, nowMs);
    else if (this.#whole > 0 ? this.#book.underWay < UNDER_WAY_MAX : this.#book.underWay === 0)
      this.#send(this.#session, nowMs);
  }

  look(nowMs: number, untilMs: number): void {
    const { agenda, state, why } = this.#context;
    const { silentSinceMs: sinceMs, unanswered } = this.#book;
    const forMs = sinceMs === null ? 0 : agenda.stalls.awakeAt(untilMs) - agenda.stalls.awakeAt(sinceMs);
    const ownPort = this.#session?.local.port ?? null;
    state.look(nowMs, sinceMs, forMs, unanswered, () =>
      sinceMs === null ? null : why(sinceMs, nowMs, ownPort),
    );
  }

  figures(nowMs: number, untilMs: number): ProbeFigures {
    const { sent, answered, lost, underWay, late } = this.#book;
    return {
      ...{ sent, answered, lost, underWay, late, duplicated: 0, corrupted: this.#corrupted, foreign: 0 },
      outages: this.#book.figures(untilMs, this.#context.agenda.stalls.awakeAt(nowMs)),
      rttMs: this.#roundTrips.quantiles(),
    };
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#session?.reset();
  }

  async #connect(end: Endpoint, nowMs: number): Promise<void> {
    const { settings, sockets, agenda, state } = this.#context;
    this.#isConnecting = true;
    const session = await TcpSession.open(end, {
      connectTimeoutMs: settings.timeoutMs,
      signal: this.#over.signal,
      dial: sockets.dial,
      source: await sourceFor("tcp", end, this.#context),
    });
    this.#isConnecting = false;
    const connectedMs = agenda.now();
    if (this.#over.signal.aborted) return;
    if (session instanceof Failure) {
      this.#book.broke(nowMs); // from the first try on there is no session
      state.failed(connectedMs, session);
      return;
    }
    this.#key = this.#context.newKey();
    this.#number = 0;
    this.#whole = 0;
    this.#session = session;
    state.opened(flowText("tcp", session.local, end));
    this.#send(session, connectedMs);
    void this.#read(session, connectedMs);
  }

  #send(session: TcpSession, nowMs: number): void {
    const failure = session.send(makePayload(this.#key, this.#number++, PAYLOAD_BYTES));
    if (failure !== null) return; // the session has ended, which its reader tells
    this.#book.send(nowMs, this.#context.agenda.stalls.awakeAt(nowMs));
  }

  /** Books what comes until the session ends. */
  async #read(session: TcpSession, connectedMs: number): Promise<void> {
    for (let echoed = 0; ; echoed = session.echoedBytes) {
      await session.change(Number.POSITIVE_INFINITY);
      const failure = session.fault;
      const nowMs = this.#context.agenda.now();
      if (session.echoedBytes > echoed) this.#came(session, connectedMs);
      if (failure === null) continue;
      if (!this.#over.signal.aborted) this.#broke(nowMs, failure);
      return;
    }
  }

  #came(session: TcpSession, connectedMs: number): void {
    const { stalls } = this.#context.agenda;
    const isFirst = this.#whole === 0;
    const messages = Math.floor(session.echoedBytes / PAYLOAD_BYTES) - this.#whole;
    this.#whole += messages;
    const lastMs = session.lastByteAtMs;
    for (const sentMs of this.#book.sendingsOf(messages)) {
      this.#roundTrips.add(tookMs(this.#context, sentMs, lastMs));
    }
    // A new session's first byte is its banner's, where it has one.
    const atMs = isFirst ? Math.min(lastMs, connectedMs + (session.firstByteMs ?? 0)) : lastMs;
    const silence = this.#book.came(messages, atMs, stalls.awakeAt(atMs));
    this.#context.state.answer(atMs, isFirst ? session.banner : null, silence);
  }

  #broke(nowMs: number, failure: Failure): void {
    const session = this.#session;
    const wasWell = this.#whole > 0;
    this.#session = null;
    this.#book.broke(nowMs);
    if (failure.code === "corrupted") this.#corrupted++;
    const known = ["reset", "closed", "corrupted"].includes(failure.code);
    // Any other reason (ETIMEDOUT above all) is this machine's kernel giving up: the session is closed all the same.
    this.#context.state.failed(nowMs, known ? failure : new Failure("closed", failure.bytes, failure.detail));
    void session?.reset();
    if (wasWell) this.due(nowMs); // at once; after one that brought nothing the next is in its turn
  }
}
