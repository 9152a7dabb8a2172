import Histogram from "prom-client/lib/histogram.js";
import { COUNTER, DURATION_BOUNDS_S, sumColumn } from "../state/counters.ts";
import type { SharedTables } from "../state/shared.ts";

const NAME = "echo_session_duration_seconds";
const HELP = "Duration of ended TCP and UDP sessions, in seconds.";

/** A histogram whose buckets were counted elsewhere: prom-client's own can only be given one value after another. */
export class DurationHistogram extends Histogram<string> {
  readonly #tables: SharedTables;

  constructor(tables: SharedTables) {
    super({
      name: NAME,
      help: HELP,
      labelNames: ["protocol"],
      buckets: [...DURATION_BOUNDS_S],
      registers: [],
    });
    this.#tables = tables;
  }

  /** The registry calls this at a scrape. prom-client's types leave it out. */
  async getForPromString(): Promise<object> {
    const values = [...this.#values("tcp", COUNTER.tcpDuration), ...this.#values("udp", COUNTER.udpDuration)];
    return { name: NAME, help: HELP, type: "histogram", values };
  }

  #values(protocol: string, first: number): object[] {
    const sum = (at: number): number => sumColumn(this.#tables.counters, first + at);
    let count = 0;
    const buckets = [...DURATION_BOUNDS_S, "+Inf"].map((le, at) => {
      count += sum(at); // a bucket holds all that is not above it
      return { metricName: `${NAME}_bucket`, labels: { protocol, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${NAME}_sum`, labels: { protocol }, value: sum(DURATION_BOUNDS_S.length + 1) },
      { metricName: `${NAME}_count`, labels: { protocol }, value: count },
    ];
  }
}
