import type { Sockets } from "../../client/sockets.ts";
import { Agenda } from "../agenda.ts";
import type { Family, Target } from "../targets.ts";
import type { EventLine, SummaryLine } from "./line.ts";
import { intervalOf, type WatchSettings } from "./settings.ts";
import { type StatusRow, statusOf } from "./status.ts";
import { type Common, type Flow, TargetWatch } from "./target-watch.ts";

/** What a person wants to be watched. Plain data: it goes to a Worker by message. */
export interface WatchQuestion {
  readonly targets: readonly Target[];
  /** The only IP version wanted; null for both. */
  readonly family: Family | null;
  readonly settings: WatchSettings;
}

/** What a watch works with, and whom it tells. */
export interface WatchAccess {
  readonly sockets: Sockets;
  emit(line: EventLine | SummaryLine): void;
  /** Told now and then how each flow is; null where nobody looks. */
  readonly status: ((rows: readonly StatusRow[]) => void) | null;
  /** How often a summary so far was asked for. */
  readonly summariesAsked?: () => number;
  /** How a name is asked for; for tests. */
  readonly resolve?: Common["resolve"];
}

/** At least so often it looks who is silent, and whether the process was held up. */
const LOOK_MS = 100;

/** How often the status is told. */
const STATUS_MS = 250;

/** How often it asks whether all is answered, at the end. */
const ASK_MS = 10;

/** What is under way when somebody ends a watch is waited for: so long at least, or so many of the longest round trips. */
const LINGER_MS = 100;
const LINGER_ROUND_TRIPS = 3;

/**
 * Watches targets, and tells what happens as it happens.
 *
 *     const watch = new Watch(question, access);
 *     const summaries = await watch.run(signal);
 */
export class Watch {
  readonly #settings: WatchSettings;
  readonly #access: WatchAccess;
  readonly #agenda = new Agenda();
  readonly #startMs = performance.now();
  readonly #targets: readonly TargetWatch[];
  readonly #flows: readonly Flow[];
  /** When the last probe could be sent. */
  #untilMs = Number.POSITIVE_INFINITY;

  constructor({ targets, family, settings }: WatchQuestion, access: WatchAccess) {
    this.#settings = settings;
    this.#access = access;
    const { sockets, emit, resolve } = access;
    const common: Common = {
      ...{ settings, family, sockets, emit, agenda: this.#agenda, startMs: this.#startMs },
      ...(resolve === undefined ? {} : { resolve }),
    };
    this.#targets = targets.map((target) => new TargetWatch(target, common));
    this.#flows = this.#targets.flatMap(({ flows }) => flows);
  }

  /**
   * Watches until the duration is over or the signal comes.
   * @returns the last summaries, one a target, which were told as well
   */
  async run(signal: AbortSignal): Promise<SummaryLine[]> {
    this.#plan();
    const running = this.#agenda.run();
    const { durationMs, timeoutMs } = this.#settings;
    await this.#until(this.#startMs + (durationMs ?? Number.POSITIVE_INFINITY), null, signal);
    this.#untilMs = performance.now();
    // Who waits at the keyboard waits as long as answers have taken; a script gets every probe judged.
    const lingerMs = signal.aborted ? Math.min(timeoutMs, this.#lingerMs()) : timeoutMs + LOOK_MS;
    const isQuiet = (): boolean => this.#flows.every(({ probe }) => probe.figures(0, 0).underWay === 0);
    await this.#until(performance.now() + lingerMs, isQuiet, null);
    const last = this.summarize(true);
    this.#agenda.end();
    await Promise.all(this.#flows.map(({ probe }) => probe.end()));
    await running;
    return last;
  }

  /** Tells what there is to tell of all so far. */
  summarize(final = false): SummaryLine[] {
    const nowMs = performance.now();
    const untilMs = Math.min(nowMs, this.#untilMs);
    const lines = this.#targets.map((target) => target.summary(nowMs, untilMs, final));
    for (const line of lines) this.#access.emit(line);
    return lines;
  }

  /** Probes of all flows are spread over the interval, so that this machine's own burst is not what is measured. */
  #plan(): void {
    const { summaryEveryMs } = this.#settings;
    const { status } = this.#access;
    this.#agenda.onAwake = (nowMs) => {
      for (const { probe } of this.#flows) probe.look(nowMs, Math.min(nowMs, this.#untilMs));
    };
    for (const target of this.#targets) target.start();
    for (const [at, { name, probe }] of this.#flows.entries()) {
      const intervalMs = intervalOf(name, this.#settings);
      this.#agenda.every(this.#startMs + (at / this.#flows.length) * intervalMs, intervalMs, (nowMs) => {
        if (nowMs < this.#untilMs) probe.due(nowMs);
      });
    }
    let printed = 0;
    this.#agenda.every(this.#startMs, LOOK_MS, () => {
      const asked = this.#access.summariesAsked?.() ?? 0;
      if (asked !== printed) this.summarize();
      printed = asked;
    });
    if (summaryEveryMs !== null) {
      this.#agenda.every(this.#startMs + summaryEveryMs, summaryEveryMs, () => void this.summarize());
    }
    if (status !== null) {
      this.#agenda.every(this.#startMs, STATUS_MS, (nowMs) => status(statusOf(this.#targets, nowMs)));
    }
  }

  /** Waits until it is so late, until it holds, or until the signal comes. */
  async #until(atMs: number, holds: (() => boolean) | null, signal: AbortSignal | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => resolve();
    const cancels = [this.#agenda.at(atMs, end)];
    if (holds !== null)
      cancels.push(this.#agenda.every(performance.now(), ASK_MS, () => void (holds() && end())));
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    await promise;
    signal?.removeEventListener("abort", end);
    for (const cancel of cancels) cancel();
  }

  #lingerMs(): number {
    const longestMs = this.#flows.map(({ probe }) => probe.figures(0, 0).rttMs?.max ?? 0);
    return Math.max(LINGER_MS, LINGER_ROUND_TRIPS * Math.max(...longestMs));
  }
}
