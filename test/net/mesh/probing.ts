import {
  type MeshEvent,
  type MeshQuestion,
  PROBES,
  type ProbeName,
  type ProbeSeen,
  type Roster,
} from "../../../src/diagnose/mesh/seen.ts";
import type { Host } from "../../clients/network.ts";
import { type ServerProcess, until } from "../../harness.ts";
import { QUESTION } from "../../mesh/probe-fixtures.ts";
import { type CheckOptions, startCommand } from "../check.ts";

/** The prober under way on a host of the lab, as an ordinary user runs it, by system calls. */
export class Probing implements AsyncDisposable {
  readonly #process: ServerProcess;

  /** @param question what is to be otherwise than in `QUESTION` */
  constructor(host: Host, question: Partial<MeshQuestion>, options: CheckOptions) {
    const args = [JSON.stringify({ ...QUESTION, ...question }), "linux"];
    this.#process = startCommand(host, args, { ...options, program: "test/mesh/probe-run.ts" });
  }

  get #events(): MeshEvent[] {
    return this.#process.log as unknown as MeshEvent[];
  }

  get rosters(): Roster[] {
    return this.#events.flatMap((event) => ("roster" in event ? [event.roster] : []));
  }

  get probes(): ProbeSeen[] {
    return this.#events.flatMap((event) => ("probe" in event ? [event.probe] : []));
  }

  of(peer: string, probe: ProbeName): ProbeSeen[] {
    return this.probes.filter((seen) => seen.peer === peer && seen.probe === probe);
  }

  /** Waits until the last `count` of each of a peer's probes are as they should be. */
  async until(what: string, peer: string, count: number, holds: (seen: ProbeSeen) => boolean): Promise<void> {
    await until(what, () =>
      PROBES.every((probe) => {
        const last = this.of(peer, probe).slice(-count);
        return last.length === count && last.every(holds);
      }),
    );
  }

  /** Waits until each of a peer's probes was answered three times in a row. */
  async well(...peers: string[]): Promise<void> {
    for (const peer of peers) await this.until(`${peer} is well`, peer, 3, ({ fault }) => fault === null);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
