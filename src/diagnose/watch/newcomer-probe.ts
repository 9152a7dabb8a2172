import { Failure } from "../../client/failure.ts";
import { RoundTrips } from "../../client/round-trips.ts";
import type { Banner } from "../../net/banner.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import { formatEndpoint } from "../../net/endpoint.ts";
import { byWhom } from "./faults.ts";
import type { NewcomerFate } from "./newcomers.ts";
import { OutageBook } from "./outages.ts";
import type { Probe, ProbeContext, ProbeFigures } from "./probe.ts";
import { protocolOf } from "./settings.ts";

/** A newcomer that was answered. */
export interface Welcome {
  readonly banner: Banner | null;
  readonly roundTripMs: number;
}

/**
 * Goes there once by a new flow.
 * @param signal aborts when its time is up
 * @param accepted to be called when there is a connection
 */
export type Visit = (
  end: Endpoint,
  context: ProbeContext,
  signal: AbortSignal,
  accepted: () => void,
) => Promise<Welcome | Failure>;

/** One that is on its way. */
interface Attempt {
  readonly sentMs: number;
  readonly controller: AbortController;
}

/** `tcp-new` and `udp-new`: each probe is a new flow, to the address that the name has at that moment. */
export class NewcomerProbe implements Probe {
  readonly #context: ProbeContext;
  readonly #visit: Visit;
  readonly #book = new OutageBook();
  readonly #roundTrips = new RoundTrips();
  readonly #attempts = new Set<Attempt>();
  #corrupted = 0;
  #over = false;

  constructor(context: ProbeContext, visit: Visit) {
    this.#context = context;
    this.#visit = visit;
  }

  due(nowMs: number): void {
    if (!this.#over) void this.#attempt(nowMs);
  }

  look(nowMs: number, untilMs: number): void {
    const { agenda, state, why, settings } = this.#context;
    const { stalls } = agenda;
    const judgedMs = stalls.awakeAt(nowMs);
    for (const { sentMs, controller } of this.#attempts) {
      if (judgedMs - stalls.awakeAt(sentMs) > settings.timeoutMs) controller.abort();
    }
    for (const outage of this.#book.settle(judgedMs)) state.outageOver(outage);
    const { silentSinceMs: sinceMs, unanswered } = this.#book;
    const forMs = sinceMs === null ? 0 : stalls.awakeAt(untilMs) - stalls.awakeAt(sinceMs);
    state.look(nowMs, sinceMs, forMs, unanswered, () =>
      sinceMs === null ? null : why(sinceMs, nowMs, null),
    );
  }

  figures(_nowMs: number, untilMs: number): ProbeFigures {
    return {
      ...this.#book.figures(untilMs),
      ...{ duplicated: 0, corrupted: this.#corrupted, foreign: 0 },
      rttMs: this.#roundTrips.quantiles(),
    };
  }

  async end(): Promise<void> {
    this.#over = true;
    for (const { controller } of this.#attempts) controller.abort();
  }

  async #attempt(dueMs: number): Promise<void> {
    const { agenda, newcomers, name, state } = this.#context;
    const end = await this.#context.resolve();
    if (this.#over) return;
    const sentMs = end === null ? dueMs : agenda.now();
    const number = this.#book.send(sentMs, Number.POSITIVE_INFINITY);
    const news = newcomers.sent(protocolOf(name), sentMs);
    if (end === null) {
      this.#book.lose(number);
      news.ended({ kind: "no_name" }, sentMs);
      return;
    }
    const attempt: Attempt = { sentMs, controller: new AbortController() };
    this.#attempts.add(attempt);
    const came = await this.#visit(end, this.#context, attempt.controller.signal, news.accepted);
    this.#attempts.delete(attempt);
    if (this.#over && came instanceof Failure) return; // it was not given the time
    const nowMs = agenda.now();
    news.ended(fateOf(came, nowMs - sentMs), nowMs);
    if (came instanceof Failure) {
      if (came.code === "corrupted") this.#corrupted++;
      if (isOwnTrouble(came)) this.#book.replace(number);
      else this.#book.lose(number);
      state.failed(nowMs, came);
      return;
    }
    this.#roundTrips.add(came.roundTripMs);
    state.answer(nowMs, came.banner, this.#book.answer(number));
  }
}

/** Trouble of this machine's, or an answer that is no right one: neither is an outage of the path. */
function isOwnTrouble({ code }: Failure): boolean {
  return code.endsWith("_here") || code === "no_such_address" || code === "corrupted";
}

function fateOf(came: Welcome | Failure, ms: number): NewcomerFate {
  if (!(came instanceof Failure)) {
    return { kind: "answered", server: came.banner === null ? null : formatEndpoint(came.banner.server) };
  }
  switch (came.code) {
    case "refused":
    case "refused_or_unreachable":
      return { kind: "refused", by: byWhom(came) };
    case "unreachable":
      return { kind: "unreachable", by: byWhom(came) };
    case "silent":
      return { kind: "accepted" };
    case "reset":
    case "closed":
      return { kind: "cut" };
    default:
      return { kind: "nothing", forMs: ms };
  }
}
