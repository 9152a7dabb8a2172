import type { PageFacts, SessionFacts } from "../facts.ts";
import { sessionsOfPod } from "../pod.ts";

/** What is plotted of a protocol: how many sessions there are, and how much came in each second. */
export const FIGURES = ["active", "opened", "refused", "receivedBytes", "sentBytes"] as const;
export type Figure = (typeof FIGURES)[number];
export type Protocol = SessionFacts["protocol"];

/** Those that only grow while a server lives. */
const COUNTERS = ["opened", "refused", "receivedBytes", "sentBytes"] as const satisfies readonly Figure[];

/** How far back it goes. */
export const KEPT_S = 600;

/** A difference over more is no rate of that time: the page slept, or its machine. */
const STEP_MAX_MS = 30_000;

/** One look; null: not measured. */
interface Sample {
  readonly atS: number;
  readonly figures: ReadonlyMap<Protocol, Readonly<Record<Figure, number | null>>>;
}

/** The last ten minutes of a server's numbers, as rates; gaps where nothing was measured. */
export class History {
  #samples: Sample[] = [];
  #last: PageFacts | null = null;

  /** @param atS when they came, s; never before the one before */
  add(facts: PageFacts, atS: number): void {
    const before = this.#last;
    const stepMs = before === null ? 0 : facts.uptimeMs - before.uptimeMs;
    const isNext = stepMs > 0 && stepMs <= STEP_MAX_MS;
    if (before !== null && stepMs > STEP_MAX_MS) this.#gap(atS - stepMs / 2000);
    const figures = new Map<Protocol, Record<Figure, number | null>>();
    const then = isNext && before !== null ? sessionsOfPod(before) : [];
    for (const now of sessionsOfPod(facts)) {
      figures.set(now.protocol, figuresOf(now, then, stepMs));
    }
    this.#push({ atS, figures });
    this.#last = facts;
  }

  /** Nothing came: what it did meanwhile is not drawn. */
  miss(atS: number): void {
    if (this.#last === null) return;
    this.#last = null;
    this.#gap(atS);
  }

  /** Those that were ever there, TCP first. */
  get protocols(): Protocol[] {
    const seen = new Set(this.#samples.flatMap(({ figures }) => [...figures.keys()]));
    return (["TCP", "UDP"] as const).filter((protocol) => seen.has(protocol));
  }

  /** Times of all samples, s, ascending. */
  get times(): number[] {
    return this.#samples.map(({ atS }) => atS);
  }

  /** As long as `times`. */
  values(protocol: Protocol, figure: Figure): (number | null)[] {
    return this.#samples.map(({ figures }) => figures.get(protocol)?.[figure] ?? null);
  }

  #gap(atS: number): void {
    this.#push({ atS, figures: new Map() });
  }

  #push(sample: Sample): void {
    this.#samples.push(sample);
    const first = this.#samples.findIndex(({ atS }) => atS >= sample.atS - KEPT_S);
    this.#samples.splice(0, first);
  }
}

/**
 * @param before what was told before, `stepMs` ago; without this protocol where there is nothing to compare with
 * @returns no rates where a counter has gone back: that container has started anew
 */
function figuresOf(
  now: SessionFacts,
  before: readonly SessionFacts[],
  stepMs: number,
): Record<Figure, number | null> {
  const then = before.find(({ protocol }) => protocol === now.protocol);
  const isAnew = then === undefined || COUNTERS.some((counter) => then[counter] > now[counter]);
  const rate = (figure: (typeof COUNTERS)[number]): number | null =>
    isAnew ? null : (1000 * (now[figure] - then[figure])) / stepMs;
  return {
    active: now.active,
    opened: rate("opened"),
    refused: rate("refused"),
    receivedBytes: rate("receivedBytes"),
    sentBytes: rate("sentBytes"),
  };
}
