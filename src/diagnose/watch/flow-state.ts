import type { Failure } from "../../client/failure.ts";
import type { Banner } from "../../net/banner.ts";
import { type Endpoint, formatEndpoint, hostOf, sameEndpoint } from "../../net/endpoint.ts";
import { countText, plural, timeText } from "../words.ts";
import type { Explanation, ExplanationCode } from "./explain.ts";
import { byWhom, type Fault, isOutage, otherFault, unreachable } from "./faults.ts";
import type { Said } from "./line.ts";
import { type Server, Servers, serverOf, serverText, UNNAMED } from "./servers.ts";

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
  lastAnswerMs: number | null = null;
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
    this.lastAnswerMs = atMs;
    this.#complained.clear();
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
        this.#refused(failure);
        return;
      case "reset":
      case "closed":
        this.#sessionEnded(failure.code, failure);
        return;
      case "unreachable":
        if (this.#firstComplaint("unreachable")) this.#tell(unreachable(failure), { by: byWhom(failure) });
        return;
      default:
        this.problem(atMs, otherFault(failure));
    }
  }

  /** Something is wrong that is no outage; or a name that is gone, which is said once until it is back. */
  problem(atMs: number, fault: Fault, facts: Pick<Said, "from"> = {}): void {
    if (isOutage(fault.code)) {
      if (this.#firstComplaint(fault.code)) this.#tell(fault, facts);
      return;
    }
    const count = (this.problems.get(fault.code) ?? 0) + 1;
    this.problems.set(fault.code, count);
    const saidMs = this.#problemSaidMs.get(fault.code) ?? Number.NEGATIVE_INFINITY;
    if (atMs - saidMs < PROBLEM_PAUSE_MS) return;
    this.#problemSaidMs.set(fault.code, atMs);
    this.#tell(fault, { ...facts, count });
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
    if (sinceMs === null) return;
    if (this.#silent === null) {
      if (forMs < this.#rules.silentAfterMs) return;
      this.#silent = { sinceMs, told: new Set() };
      const reason = why();
      const told = reason?.code === "this_flow" ? null : reason;
      if (told !== null) this.#silent.told.add(told.code);
      this.#saySilent(nowMs, this.#silent.sinceMs, unanswered, told);
    }
    const reason = why();
    if (reason === null || this.#silent.told.has(reason.code)) return;
    this.#silent.told.add(reason.code);
    if (reason.code === "this_flow") this.#sayStuck(nowMs, this.#silent.sinceMs, reason);
    else this.#saySilent(nowMs, this.#silent.sinceMs, unanswered, reason);
  }

  #heldBy(atMs: number, banner: Banner | null, silence: EndedSilence | null): void {
    const before = this.#server;
    const who = banner === null ? (before ?? UNNAMED) : serverOf(banner);
    this.#server = who;
    this.servers.answered(who, atMs);
    const seen = banner?.client ?? null;
    if (before === null) this.#sayAnswered(who, seen);
    else if (who.server !== before.server || who.pod !== before.pod)
      this.#sayMoved(before, who, seen, silence);
    if (seen !== null) this.#compareSeen("", seen, !this.#rules.stream);
  }

  #newAnsweredBy(atMs: number, banner: Banner | null): void {
    const who = serverOf(banner);
    this.#server = who;
    const seen = banner?.client ?? null;
    if (this.servers.answered(who, atMs)) this.#sayAnswered(who, seen);
    if (seen !== null) this.#compareSeen(who.server ?? "", seen, false);
  }

  /** Says if the server saw another end of ours than the last time. @param port whether the port counts: it is the same flow */
  #compareSeen(key: string, seen: Endpoint, port: boolean): void {
    const before = this.#seen.get(key);
    this.#seen.delete(key); // so that the one set last stands last
    this.#seen.set(key, seen);
    if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value!);
    if (before === undefined) return;
    const same = port ? sameEndpoint(before, seen) : hostOf(before) === hostOf(seen);
    if (same) return;
    const [from, to] = port ? [formatEndpoint(before), formatEndpoint(seen)] : [hostOf(before), hostOf(seen)];
    this.#say({
      event: "translation",
      says: `seen as ${to}, before as ${from}`,
      ends: this.#ends,
      from,
      to,
      seen: formatEndpoint(seen),
    });
  }

  #sayAnswered(who: Server, seen: Endpoint | null): void {
    const view = seen === null ? {} : { seen: formatEndpoint(seen) };
    const words = seen === null ? "" : `, which sees ${formatEndpoint(seen)}`;
    this.#say({
      event: "answered",
      says: `by ${serverText(who)}${words}`,
      ends: this.#ends,
      ...who,
      ...view,
    });
  }

  #sayMoved(from: Server, to: Server, seen: Endpoint | null, silence: EndedSilence | null): void {
    const silentMs = silence === null ? 0 : Math.round(Math.max(0, silence.untilMs - silence.sinceMs));
    const view = seen === null ? {} : { seen: formatEndpoint(seen) };
    const after = silentMs === 0 ? "without a silence" : `after ${timeText(silentMs)} of silence`;
    this.#say({
      event: "moved",
      says: `from ${serverText(from)} to ${serverText(to)} ${after}`,
      ends: this.#ends,
      ...to,
      from: from.server,
      to: to.server,
      silentMs,
      ...view,
    });
  }

  #saySilent(nowMs: number, sinceMs: number, unanswered: number, why: Explanation | null): void {
    const silentMs = Math.round(nowMs - sinceMs);
    const none = unanswered === 0 ? "no session" : `${plural(unanswered, "probe")} without an answer`;
    this.#say({
      event: "silent",
      says: `for ${timeText(silentMs)}, ${none}${why === null ? "" : `; ${why.says}`}`,
      ends: this.#ends,
      silentMs,
      since: Math.round(sinceMs - this.#rules.startMs) / 1000,
      why: why?.code ?? null,
      ...(why === null ? {} : { likely: why.likely, where: why.where, next: why.next }),
      ...(why?.by === undefined ? {} : { by: why.by }),
    });
  }

  #sayStuck(
    nowMs: number,
    sinceMs: number,
    { says, likely, where, next, newServer = null }: Explanation,
  ): void {
    const silentMs = Math.round(nowMs - sinceMs);
    const server = this.#server?.server ?? null;
    this.#say({
      event: "stuck",
      says: `for ${timeText(silentMs)}; ${says}`,
      ends: this.#ends,
      silentMs,
      server,
      newServer,
      likely,
      where,
      next,
    });
  }

  #back(atMs: number, silence: EndedSilence | null): void {
    const saidSinceMs = this.#silent?.sinceMs ?? atMs;
    this.#silent = null;
    // A silence that was said and is no outage: its answers were slow, and in time.
    const isOutage = silence !== null && silence.untilMs > silence.sinceMs;
    const { sinceMs, untilMs, lost } = isOutage ? silence : { sinceMs: saidSinceMs, untilMs: atMs, lost: 0 };
    this.#toldUntilMs = untilMs;
    const silentMs = Math.round(untilMs - sinceMs);
    const notRunningMs = Math.round(this.#rules.notRunning(sinceMs, untilMs));
    const who = this.#server ?? UNNAMED;
    const idle =
      notRunningMs === 0 ? "" : ` (${timeText(notRunningMs)} of it this machine was too busy to ask)`;
    this.#say({
      event: "back",
      says: `silent for ${timeText(silentMs)}${idle}, ${countText(lost)} lost; answered by ${serverText(who)}`,
      ends: this.#ends,
      silentMs,
      since: Math.round(sinceMs - this.#rules.startMs) / 1000,
      lost,
      ...who,
      ...(notRunningMs === 0 ? {} : { notRunningMs }),
    });
  }

  #refused(failure: Failure): void {
    if (!this.#firstComplaint("refused")) return;
    const by = byWhom(failure);
    const unsure = failure.code === "refused_or_unreachable" ? ", or there is no way there" : "";
    this.#say({
      event: "refused",
      says: `${by === null ? "nobody listens there" : `by ${by}: nobody listens there`}${unsure}`,
      ends: this.#ends,
      by,
    });
  }

  #sessionEnded(event: "reset" | "closed", { bytes }: Failure): void {
    if (!this.#rules.held && !this.#firstComplaint(event)) return;
    const how = event === "reset" ? "by a reset" : "by the far end's FIN";
    this.#say({
      event,
      says: `${how}, after ${plural(bytes, "echoed byte")}`,
      ends: this.#ends,
      bytes,
      server: this.#server?.server ?? null,
      by: null, // Linux tells no process who sent it
    });
  }

  #firstComplaint(what: string): boolean {
    if (this.#complained.has(what)) return false;
    this.#complained.add(what);
    return true;
  }

  #tell({ code, says, likely, where, next }: Fault, facts: Pick<Said, "from" | "by" | "count">): void {
    this.#say({
      event: "problem",
      code,
      says: `${code}: ${says}`,
      likely,
      where,
      next,
      ends: this.#ends,
      ...facts,
    });
  }
}
