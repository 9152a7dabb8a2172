import type { Failure } from "../../client/failure.ts";
import type { Banner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint, hostOf } from "../../net/endpoint.ts";
import type { Explanation, ExplanationCode } from "./explain.ts";
import { byWhom, type Fault, isOutage, otherFault, unreachable } from "./faults.ts";
import type { Said } from "./line.ts";
import * as said from "./said.ts";
import { type Server, Servers, serverOf, UNNAMED } from "./servers.ts";

/** A silence as the arithmetic has it when an answer comes. */
export interface EndedSilence {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly lost: number;
}

export interface FlowRules {
  /** Whether all probes go by one flow. */
  readonly held: boolean;
  /** Whether outages are known at once when they end (`StreamBook`), and not only when all before is (`OutageBook`). */
  readonly stream: boolean;
  readonly silentAfterMs: number;
  /** As it was asked for. */
  readonly target: string;
  /** Of the watch. */
  readonly startMs: number;
  /** How long this process did not run between two moments, ms. */
  notRunning(fromMs: number, toMs: number): number;
}

/** The same problem is said once in so long; it is counted each time. */
const PROBLEM_PAUSE_MS = 60_000;

/** Servers whose view of a newcomer's address is remembered. */
const SEEN_MAX = 256;

/**
 * What is known of one probe's flow, and what is said of it: events in, lines out. It reads no clock and knows no socket;
 * times are of the monotonic clock and come with the events.
 */
export class FlowState {
  readonly servers: Servers;
  /** Problems that are no outages, by code. */
  readonly problems = new Map<string, number>();
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  #lastLateMs = Number.NEGATIVE_INFINITY;
  /** The last refusal since the last answer. */
  #refusal: { readonly atMs: number; readonly by: string | null } | null = null;
  /** When the last outage ended, or the first answer came. */
  #wellSinceMs = Number.POSITIVE_INFINITY;
  readonly #rules: FlowRules;
  readonly #say: (said: Said) => void;
  #ends: string | null = null;
  /** Null before the first answer. */
  #server: Server | null = null;
  /** This end as the server saw it last; of newcomers, by server. */
  readonly #seen = new Map<string, Endpoint>();
  /** The silence that was said, and what was said of its cause; null while it is not silent. */
  #silent: { readonly sinceMs: number; readonly told: Set<ExplanationCode> } | null = null;
  /** Outages that ended by then were told. */
  #toldUntilMs = Number.NEGATIVE_INFINITY;
  /** Failures that were said since the last answer. */
  readonly #complained = new Set<string>();
  readonly #problemSaidMs = new Map<string, number>();

  constructor(rules: FlowRules, say: (said: Said) => void) {
    this.#rules = rules;
    this.#say = say;
    this.servers = new Servers(rules.held);
  }

  get isSilent(): boolean {
    return this.#silent !== null;
  }

  get server(): Server | null {
    return this.#server;
  }

  /** Since when it is silent, as it was said; null while it is not. */
  get silentSinceMs(): number | null {
    return this.#silent?.sinceMs ?? null;
  }

  /** When its last outage ended, or its first answer came; in the future before that. */
  get wellSinceMs(): number {
    return this.#wellSinceMs;
  }

  /** Whether it was well at that moment, and has been answered since. */
  wasAnswered(sinceMs: number): boolean {
    return this.#silent === null && this.#wellSinceMs <= sinceMs && this.#lastAnswerMs >= sinceMs;
  }

  /** An answer came after `--timeout`: its probe is lost, and somebody is there. */
  answeredLate(atMs: number): void {
    this.#lastLateMs = atMs;
  }

  wasAnsweredLate(sinceMs: number): boolean {
    return this.#lastLateMs >= sinceMs;
  }

  /** Who refused this very flow since then, and has not answered it after that; null if nobody did. */
  refusedSince(sinceMs: number): { readonly by: string | null } | null {
    return this.#refusal !== null && this.#refusal.atMs >= sinceMs ? this.#refusal : null;
  }

  /** The flow goes between these ends from now on. */
  opened(ends: string | null): void {
    this.#ends = ends;
  }

  /**
   * A probe was answered in time.
   * @param banner what the server said of itself since the last answer; null if nothing
   * @param silence what the answer ended, by the book of the probe
   */
  answer(atMs: number, banner: Banner | null, silence: EndedSilence | null): void {
    if (this.#rules.held) this.#heldBy(atMs, banner, silence);
    else this.#newAnsweredBy(atMs, banner);
    this.#lastAnswerMs = atMs;
    this.#wellSinceMs = Math.min(this.#wellSinceMs, atMs);
    this.#complained.clear();
    this.#refusal = null;
    if (this.#silent !== null || (this.#rules.stream && silence !== null)) this.#back(atMs, silence);
  }

  /** An outage is over, and certain by now. */
  outageOver(outage: EndedSilence): void {
    if (outage.untilMs > this.#toldUntilMs) this.#back(outage.untilMs, outage);
  }

  /** A probe failed, or the session ended; `bytes` of a session are in the failure. */
  failed(atMs: number, failure: Failure): void {
    switch (failure.code) {
      case "timeout":
      case "silent":
      case "ended":
      case "aborted":
        return; // silence is told by its length
      case "refused":
      case "refused_or_unreachable":
        if (failure.code === "refused") this.#refusal = { atMs, by: byWhom(failure) };
        if (this.#firstComplaint("refused")) this.#tell(said.refused(failure));
        return;
      case "reset":
      case "closed":
        if (this.#rules.held || this.#firstComplaint(failure.code))
          this.#tell(said.ended(failure.code, failure, this.#server));
        return;
      case "unreachable":
        if (this.#firstComplaint("unreachable"))
          this.#tell(said.problem(unreachable(failure, this.#rules.target), { by: byWhom(failure) }));
        return;
      default:
        this.problem(atMs, otherFault(failure));
    }
  }

  /** Something is wrong that is no outage; or a name that is gone, which is said once until it is back. */
  problem(atMs: number, fault: Fault, facts: Pick<Said, "from"> = {}): void {
    if (isOutage(fault.code)) {
      if (this.#firstComplaint(fault.code)) this.#tell(said.problem(fault, facts));
      return;
    }
    const count = (this.problems.get(fault.code) ?? 0) + 1;
    this.problems.set(fault.code, count);
    const saidMs = this.#problemSaidMs.get(fault.code) ?? Number.NEGATIVE_INFINITY;
    if (atMs - saidMs < PROBLEM_PAUSE_MS) return;
    this.#problemSaidMs.set(fault.code, atMs);
    this.#tell(said.problem(fault, { ...facts, count }));
  }

  /**
   * Looks whether it is silent. To be called when all that had come was read.
   * @param sinceMs when the first probe was sent that has no answer, nor any after it
   * @param forMs how long ago that was, without the time in which this process did not run
   * @param unanswered probes since then
   * @param why asked for while it is silent
   */
  look(
    nowMs: number,
    sinceMs: number | null,
    forMs: number,
    unanswered: number,
    why: () => Explanation | null,
  ): void {
    if (sinceMs === null || (this.#silent === null && forMs < this.#rules.silentAfterMs)) return;
    const isNews = this.#silent === null;
    this.#silent ??= { sinceMs, told: new Set() };
    const { sinceMs: saidSinceMs, told } = this.#silent;
    const silentMs = Math.round(nowMs - saidSinceMs);
    const since = this.#seconds(saidSinceMs);
    const reason = why();
    const isStuck = reason?.code === "this_flow";
    const isNewReason = reason !== null && !told.has(reason.code);
    if (isNews || (isNewReason && !isStuck)) {
      this.#tell(said.silent(silentMs, since, unanswered, isStuck ? null : reason));
    }
    if (isNewReason && isStuck) this.#tell(said.stuck(silentMs, since, this.#server, reason));
    if (isNewReason) told.add(reason.code);
  }

  #heldBy(atMs: number, banner: Banner | null, silence: EndedSilence | null): void {
    const before = this.#server;
    const who = banner === null ? (before ?? UNNAMED) : serverOf(banner);
    this.#server = who;
    this.servers.answered(who, atMs);
    const seen = banner?.client ?? null;
    const silentMs = silence === null ? 0 : Math.round(Math.max(0, silence.untilMs - silence.sinceMs));
    if (before === null) this.#tell(said.answered(who, seen));
    else if (!sameServer(before, who)) this.#tell(said.moved(before, who, seen, silentMs));
    if (seen !== null) this.#compareSeen("", seen, !this.#rules.stream);
  }

  #newAnsweredBy(atMs: number, banner: Banner | null): void {
    // A source port that was used before gets no banner where its session lives on: that is no other server.
    if (banner === null && this.#server !== null) return;
    const who = serverOf(banner);
    this.#server = who;
    const seen = banner?.client ?? null;
    if (this.servers.answered(who, atMs)) this.#tell(said.answered(who, seen));
    if (seen !== null) this.#compareSeen(who.server ?? "", seen, false);
  }

  /** Says if the server saw another end of ours than before. @param port it counts, too: the flow is the same */
  #compareSeen(key: string, seen: Endpoint, port: boolean): void {
    const before = this.#seen.get(key);
    this.#seen.delete(key); // so that the one set last stands last
    this.#seen.set(key, seen);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value!);
    if (before === undefined) return;
    const text = port ? formatEndpoint : hostOf;
    if (text(before) !== text(seen)) this.#tell(said.translated(text(before), text(seen), seen));
  }

  #back(atMs: number, silence: EndedSilence | null): void {
    const saidSinceMs = this.#silent?.sinceMs ?? atMs;
    this.#silent = null;
    // A silence that was said and is no outage: its answers were slow, and in time.
    const isOutage = silence !== null && silence.untilMs > silence.sinceMs;
    const { sinceMs, untilMs, lost } = isOutage ? silence : { sinceMs: saidSinceMs, untilMs: atMs, lost: 0 };
    this.#toldUntilMs = untilMs;
    this.#wellSinceMs = untilMs;
    const silentMs = Math.max(1, Math.round(untilMs - sinceMs));
    const notRunningMs = Math.round(this.#rules.notRunning(sinceMs, untilMs));
    this.#tell(said.back(silentMs, this.#seconds(sinceMs), lost, this.#server ?? UNNAMED, notRunningMs));
  }

  #firstComplaint(what: string): boolean {
    if (this.#complained.has(what)) return false;
    this.#complained.add(what);
    return true;
  }

  #tell(words: Said): void {
    this.#say({ ...words, ends: this.#ends });
  }

  /** After the start of the watch. */
  #seconds(ms: number): number {
    return Math.round(ms - this.#rules.startMs) / 1000;
  }
}

function sameServer(a: Server, b: Server): boolean {
  return a.server === b.server && a.pod === b.pod;
}
