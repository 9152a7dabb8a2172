import { Failure } from "../../client/failure.ts";
import { newRun } from "../../client/payload.ts";
import { RoundTrips } from "../../client/round-trips.ts";
import { UdpFlow, wayTo } from "../../client/udp-flow.ts";
import type { Address } from "../../net/address.ts";
import type { Asked, CheckContext, CheckSettings } from "./plan.ts";
import { askFlow, type FlowEnd } from "./udp-ask-flow.ts";
import { FlowBook } from "./udp-book.ts";
import type { UdpFlowSeen, UdpSeen } from "./udp-seen.ts";

/** So many flows are asked side by side at most: the network is not to suffer from the question. */
const FLOWS_AT_ONCE = 10;

/** The first ones begin spread over an interval, and over so long at most. */
const SPREAD_MS_MAX = 1000;

/** So many source ports are tried for a flow with a banner. */
const PORTS_PER_FLOW = 4;

/** As long as no banner ever came, so many ports in all are given up for want of one: most echoes have none. */
const PORTS_WITHOUT_BANNER = 3;

/** Asks an address by new flows, each from a source port of its own, and tells what was measured. */
export async function askFlows(asked: Asked, context: CheckContext): Promise<UdpSeen> {
  const { address } = context.settings.source;
  const way = await wayTo(asked.endpoint, address === undefined ? {} : { address });
  const run = new FlowRun(asked, context, way instanceof Failure ? null : way.address);
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

/** How many flows are asked: of one source port one, since whatever leaves from it is the same flow. */
function flowsOf({ flows, source }: CheckSettings): number {
  return source.port === undefined ? flows : 1;
}

/** A flow that was asked. */
interface Done {
  /** In the order of their beginning. */
  readonly index: number;
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
  readonly #way: Address | null;
  readonly #run = newRun();
  readonly #total: number;
  readonly #done: Done[] = [];
  /** By a flow's number in payloads: its messages that came to other flows. */
  readonly #astray = new Map<number, number>();
  readonly #banners = new BannerHopes();
  readonly #progress: Progress;
  #begun = 0;
  #keys = 0;

  constructor(asked: Asked, context: CheckContext, way: Address | null) {
    this.#asked = asked;
    this.#context = context;
    this.#way = way;
    this.#total = flowsOf(context.settings);
    this.#progress = new Progress(this.#total * context.settings.count, context);
  }

  /** What came of one flow to another is known only when all are done. */
  seen(): UdpFlowSeen[] {
    const inOrder = this.#done.toSorted((a, b) => a.index - b.index);
    return inOrder.map(({ key, seen }) => ({ ...seen, astray: this.#astray.get(key) ?? 0 }));
  }

  async askAll(): Promise<void> {
    const lanes = Math.min(this.#total, FLOWS_AT_ONCE);
    const spreadMs = Math.min(this.#context.settings.intervalMs, SPREAD_MS_MAX);
    const lane = async (number: number): Promise<void> => {
      if (number > 0) await Bun.sleep((spreadMs * number) / lanes);
      while (this.#begun < this.#total && this.notOpened === null && !this.interrupted) {
        await this.#askOne(this.#begun++);
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  }

  /** Asks from another port again where a port's session lives on at the server from earlier, and so has no banner. */
  async #askOne(index: number): Promise<void> {
    for (let ports = 1; ports <= PORTS_PER_FLOW; ports++) {
      if ((await this.#askFrom(index, ports === PORTS_PER_FLOW)) !== "useless") return;
    }
  }

  async #askFrom(index: number, isLast: boolean): Promise<FlowEnd> {
    const { settings, signal } = this.#context;
    const flow = await UdpFlow.open(this.#asked.endpoint, { source: settings.source, signal });
    if (flow instanceof Failure) return this.#notOpened(flow);
    await using _ = flow;
    const key = this.#keys++;
    const book = new FlowBook({ run: this.#run, flow: key }, this.#asked.endpoint, settings, (other) =>
      this.#astray.set(other, (this.#astray.get(other) ?? 0) + 1),
    );
    const end = await askFlow(flow, book, settings, {
      isUseless: () => this.#banners.miss() && !isLast && settings.source.port === undefined,
      progressed: () => this.#progress.step(),
    });
    if (end === "useless") return end;
    if (end === "interrupted") this.interrupted = true;
    else book.messages.tracker.finish();
    if (book.banner !== null) this.#banners.found();
    this.roundTrips.addAll(book.messages.roundTrips);
    this.#done.push({ index, key, seen: book.seen(flow.local, this.#way, flow.dropped, 0) });
    return end;
  }

  #notOpened(failure: Failure): FlowEnd {
    if (failure.code === "aborted") this.interrupted = true;
    else this.notOpened ??= failure;
    return failure.code === "aborted" ? "interrupted" : "not_sent";
  }
}

/** Whether a flow that came without a banner may have one from another port. */
class BannerHopes {
  #found = false;
  #missed = 0;

  found(): void {
    this.#found = true;
  }

  /** One came without. Whether to try another port. */
  miss(): boolean {
    this.#missed++;
    return this.#found || this.#missed <= PORTS_WITHOUT_BANNER;
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
