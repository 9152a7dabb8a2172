import type { LoopSettings, Loops } from "../../src/engine/loop.ts";
import { chooseEngine, planLoops, startLoops } from "../../src/engine/start.ts";
import { COLUMNS, COUNTER, sumColumn } from "../../src/state/counters.ts";
import { OTHER_DESCRIPTORS } from "../../src/state/descriptors.ts";
import { makeSharedTables, type SharedTables } from "../../src/state/shared.ts";
import { settings } from "../rules/fixtures.ts";

/** The data plane in this process: its tables can be seen, and a probe's end is whatever a test tells it. */
export class Here implements AsyncDisposable {
  readonly tables: SharedTables;
  readonly #loops: Loops;
  #stopped = false;

  private constructor(tables: SharedTables, loops: Loops) {
    this.tables = tables;
    this.#loops = loops;
  }

  /** @param lastClients clients seen last that are kept of each protocol */
  static async start(changes: Partial<LoopSettings> = {}, lastClients = 0): Promise<Here> {
    const workers = Number(process.env["ECHO_TEST_WORKERS"] ?? 1);
    const choice = chooseEngine(process.env["ECHO_TEST_ENGINE"] === "bun" ? "bun" : "auto");
    const wanted = settings({ hosts: ["127.0.0.1"], tcpPort: 0, udpPort: 0, ...changes });
    const serves = planLoops(choice.engine, wanted, workers);
    const clients = wanted.maxTcpSessionsPerClient > 0 ? wanted.maxTcpSessions : 0;
    const slots = { tcp: wanted.maxTcpSessions + OTHER_DESCRIPTORS, udp: wanted.maxUdpSessions };
    const seen = { rows: lastClients, slots };
    const tables = makeSharedTables(serves.length, clients, serves, undefined, seen);
    const unheard = {
      onSession: null,
      onSessionFault() {},
      onRestart() {},
      onStartFailure() {},
      onReplacement() {},
      onLoss() {},
    };
    return new Here(tables, await startLoops(choice, wanted, tables, unheard));
  }

  get loops(): Loops {
    return this.#loops;
  }

  get tcpPort(): number {
    return this.#loops.bound.tcp[0]!.port;
  }

  get udpPort(): number {
    return this.#loops.bound.udp[0]!.port;
  }

  /** The columns of what loops have counted, their clocks excepted: none where nothing has happened. */
  counted(): number[] {
    const columns = Array.from({ length: COLUMNS }, (_, column) => column);
    const clocks: number[] = [COUNTER.heartbeatMs, COUNTER.loopLagSeconds];
    return columns.filter((at) => !clocks.includes(at) && sumColumn(this.tables.counters, at) !== 0);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#loops.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
