import { Failure } from "../../../client/failure.ts";
import { newRun } from "../../../client/payload.ts";
import { RoundTrips } from "../../../client/round-trips.ts";
import { UdpFlow } from "../../../client/udp-flow.ts";
import type { Address } from "../../../net/address.ts";
import { ownEnd } from "../own-end.ts";
import type { Asked, CheckContext } from "../plan.ts";
import { sideBySide } from "../side-by-side.ts";
import { FlowBook } from "./book.ts";
import { askFlow } from "./flow.ts";
import { isFlawless, type UdpFlowSeen, type UdpSeen } from "./seen.ts";

/** So many flows are asked side by side at most: the network is not to suffer from the question. */
const FLOWS_AT_ONCE = 10;

/** The first ones begin spread over an interval, and over so long at most. */
const SPREAD_MS_MAX = 1000;

/** So many other source ports are tried at most for a flow that has no banner. */
const PORTS_MAX = 3;

/** Asks an address by new flows, each from a source port of its own, and tells what was measured. */
export async function askFlows(asked: Asked, context: CheckContext): Promise<UdpSeen> {
  const own = await ownEnd(asked.endpoint, context);
  const run = new FlowRun(asked, context, own?.address ?? null);
  await run.askAll();
  return {
    asked,
    settings: context.settings,
    flows: run.seen(),
    notOpened: run.notOpened,
    rttMs: run.roundTrips.quantiles(),
    bySystemCalls: context.sockets.bySystemCalls,
    interrupted: run.interrupted,
  };
}

/** A flow that was asked. */
interface Done {
  /** The flow's number in its payloads. */
  readonly key: number;
  readonly seen: UdpFlowSeen;
}

class FlowRun {
  readonly roundTrips = new RoundTrips();
  notOpened: Failure | null = null;
  interrupted = false;
  readonly #asked: Asked;
  readonly #context: CheckContext;
  readonly #own: Address | null;
  readonly #run = newRun();
  readonly #total: number;
  /** In the order of their beginning; where a flow could not be opened there is none. */
  readonly #done: (Done | undefined)[] = [];
  /** By a flow's number in payloads: its messages that came to other flows. */
  readonly #astray = new Map<number, number>();
  readonly #progress: Progress;
  #begun = 0;
  #keys = 0;

  constructor(asked: Asked, context: CheckContext, own: Address | null) {
    this.#asked = asked;
    this.#context = context;
    this.#own = own;
    this.#total = context.settings.flows;
    this.#progress = new Progress(this.#total * context.settings.count, context);
  }

  /** What came of one flow to another is known only when all are done. */
  seen(): UdpFlowSeen[] {
    const done = this.#done.filter((each) => each !== undefined);
    return done.map(({ key, seen }) => ({ ...seen, astray: this.#astray.get(key) ?? 0 }));
  }

  async askAll(): Promise<void> {
    const lanes = Math.min(this.#total, FLOWS_AT_ONCE);
    const { settings, signal } = this.#context;
    const spreadMs = Math.min(settings.intervalMs, SPREAD_MS_MAX);
    const lane = async (): Promise<void> => {
      while (this.#begun < this.#total && this.notOpened === null && !this.interrupted) {
        const index = this.#begun++;
        const done = await this.#ask();
        if (!(done instanceof Failure)) this.#done[index] = done;
        else if (done.code === "aborted") this.interrupted = true;
        else this.notOpened ??= done;
      }
    };
    await sideBySide(lanes, spreadMs, signal, lane);
    await this.#askForBanners();
  }

  /**
   * A source port that was used a short time ago gets no banner, since its session lives on at the server: where other
   * flows had theirs, such a one makes place for one from another port.
   */
  async #askForBanners(): Promise<void> {
    if (!this.#done.some((each) => each !== undefined && each.seen.banner !== null)) return;
    const without = this.#done.flatMap((each, index) =>
      each !== undefined && each.seen.banner === null && isFlawless(each.seen) ? [index] : [],
    );
    for (let from = 0; from < without.length && !this.interrupted; from += FLOWS_AT_ONCE) {
      const some = without.slice(from, from + FLOWS_AT_ONCE);
      const found = await Promise.all(some.map((index) => this.#askAgain(index)));
      if (!found.includes(true)) return; // it is not for the ports
    }
  }

  /** Whether another port made a difference. */
  async #askAgain(index: number): Promise<boolean> {
    for (let port = 0; port < PORTS_MAX && !this.interrupted; port++) {
      const done = await this.#ask();
      if (done instanceof Failure) return false; // as many flows as were asked for there are
      if (done.seen.banner === null && isFlawless(done.seen)) continue;
      this.#done[index] = done;
      return true;
    }
    return false;
  }

  /** One flow, from a new source port, or why there is none. */
  async #ask(): Promise<Done | Failure> {
    const { settings, signal, sockets } = this.#context;
    const options = { source: settings.source, signal, open: sockets.openUdp };
    const flow = await UdpFlow.open(this.#asked.endpoint, options);
    if (flow instanceof Failure) return flow;
    await using _ = flow;
    const key = this.#keys++;
    const book = new FlowBook({ run: this.#run, flow: key }, this.#asked.endpoint, settings, (other) =>
      this.#astray.set(other, (this.#astray.get(other) ?? 0) + 1),
    );
    if (await askFlow(flow, book, settings, () => this.#progress.step())) book.messages.tracker.finish();
    else this.interrupted = true;
    this.roundTrips.addAll(book.messages.roundTrips);
    return { key, seen: book.seen(flow.local, this.#own, flow) };
  }
}

/** Tells how far it is, each time another hundredth is done. */
class Progress {
  readonly #all: number;
  readonly #context: CheckContext;
  #done = 0;
  #told = 0;

  constructor(all: number, context: CheckContext) {
    this.#all = all;
    this.#context = context;
  }

  step(): void {
    const share = Math.min(1, ++this.#done / this.#all);
    if (share - this.#told < 0.01 && share < 1) return;
    this.#told = share;
    this.#context.progress(share);
  }
}
