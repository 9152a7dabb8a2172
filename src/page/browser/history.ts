import type { PageFacts, SessionFacts } from "../facts.ts";

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
  readonly figures: ReadonlyMap<Protocol, Figures>;
}

type Figures = Readonly<Record<Figure, number | null>>;

/** One who tells its numbers, and when it told them on its own clock: this server, or a container beside it. */
interface Teller {
  readonly port: number | null;
  readonly uptimeMs: number;
  readonly sessions: readonly SessionFacts[];
}

/** The last ten minutes of a Pod's numbers, as rates; gaps where nothing was measured. */
export class History {
  #samples: Sample[] = [];
  #last: PageFacts | null = null;

  /** @param atS when they came, s; never before the one before */
  add(facts: PageFacts, atS: number): void {
    const before = this.#last;
    const stepMs = before === null ? 0 : facts.uptimeMs - before.uptimeMs;
    if (stepMs > STEP_MAX_MS) this.#gap((this.#samples.at(-1)!.atS + atS) / 2);
    const figures = new Map<Protocol, Figures>();
    const then = before === null ? [] : tellersOf(before);
    for (const teller of tellersOf(facts)) {
      const earlier = then.find(({ port }) => port === teller.port);
      for (const now of teller.sessions) figures.set(now.protocol, this.#figuresOf(now, teller, earlier));
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

  /** Of who has told nothing new, what it told before still counts: no rate of 0 now, and none too high next time. */
  #figuresOf(now: SessionFacts, { uptimeMs }: Teller, earlier: Teller | undefined): Figures {
    const then = earlier?.sessions.find(({ protocol }) => protocol === now.protocol);
    const stepMs = earlier === undefined ? 0 : uptimeMs - earlier.uptimeMs;
    const told = stepMs === 0 ? this.#samples.at(-1)?.figures.get(now.protocol) : undefined;
    return told ?? figuresOf(now, then, stepMs);
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

function tellersOf({ uptimeMs, sessions, containers }: PageFacts): Teller[] {
  const beside = containers.filter(({ self }) => !self);
  return [
    { port: null, uptimeMs, sessions },
    ...beside.map(({ port, uptimeMs, sessions }) => ({ port, uptimeMs: uptimeMs ?? 0, sessions })),
  ];
}

/**
 * @param then what the same one told `stepMs` before; undefined where there is nothing to compare with
 * @returns no rates where the clock or a counter has gone back, since who tells has started anew, and none over too long
 */
function figuresOf(now: SessionFacts, then: SessionFacts | undefined, stepMs: number): Figures {
  const isNext = then !== undefined && stepMs > 0 && stepMs <= STEP_MAX_MS;
  const isAnew = then === undefined || COUNTERS.some((counter) => then[counter] > now[counter]);
  const rate = (figure: (typeof COUNTERS)[number]): number | null =>
    isNext && !isAnew ? (1000 * (now[figure] - then[figure])) / stepMs : null;
  return {
    active: now.active,
    opened: rate("opened"),
    refused: rate("refused"),
    receivedBytes: rate("receivedBytes"),
    sentBytes: rate("sentBytes"),
  };
}
