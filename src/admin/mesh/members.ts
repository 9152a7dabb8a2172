import type { ToldRow } from "../../diagnose/mesh/told-row.ts";
import { endpointOf } from "../../net/endpoint.ts";
import { GET_FAULTS, type GetFault, NoAnswer } from "../http-answer-reader.ts";
import { httpGet } from "../http-get.ts";

/** How long a member's prober may take to tell its row. */
const ROW_TIMEOUT_MS = 1000;

/** More than the row of any member: 5,000 members of 130 bytes each, and their pairs. */
const ROW_BYTES_MAX = 2 * 1024 * 1024;

/** Members that are asked at once for the matrix, and for their names. */
const ROWS_AT_ONCE = 100;
const NAMES_AT_ONCE = 4;

/** After so long no more of a round's members are asked: a page waits for 3 s. */
const ROUND_MS = 1500;

/** A name that is known is asked for again after so long; one that is not, after 1 s, then twice as long each time. */
const NAME_AGAIN_MS = 60_000;
const NAME_RETRY_MS = 1000;

/** How answers are asked for and told. */
export interface AskMembers {
  /** The admin port of each member's prober; null where none is known: nobody is asked then. */
  port(): number | null;
  /** A row has come. */
  onRow(address: string, row: ToldRow): void;
  /** None came: why, in words. */
  onMiss(address: string, why: string): void;
  nowMs(): number;
}

/** Asks the members' own probers who they are and what they see. */
export class Members {
  /** Answers that were none, by why. */
  readonly refused: Record<GetFault, number>;
  readonly #asked: AskMembers;
  /** When each peer is to be asked for its name, and how long to wait then if it does not tell. */
  readonly #due = new Map<string, { readonly atMs: number; readonly retryMs: number }>();
  #naming = 0;

  constructor(asked: AskMembers) {
    this.#asked = asked;
    const none = GET_FAULTS.map((fault) => [fault, 0] as const);
    this.refused = Object.fromEntries(none) as Record<GetFault, number>;
  }

  /** Asks all of them, so many at once, and comes back when each has answered or its time is up. Throws nothing. */
  async askAll(addresses: readonly string[]): Promise<void> {
    const endMs = this.#asked.nowMs() + ROUND_MS;
    const queue = [...addresses];
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (this.#asked.nowMs() < endMs) await this.#ask(next);
        else this.#asked.onMiss(next, "there was no time to ask it");
      }
    };
    await Promise.all(Array.from({ length: Math.min(ROWS_AT_ONCE, queue.length) }, work));
  }

  /** To be called now and then: asks those of the peers for their names whose time it is, a few at once. */
  askNames(peers: readonly string[]): void {
    if (this.#asked.port() === null) return;
    for (const address of this.#due.keys()) if (!peers.includes(address)) this.#due.delete(address);
    const nowMs = this.#asked.nowMs();
    for (const address of peers) {
      if (this.#naming >= NAMES_AT_ONCE) return;
      const { atMs, retryMs } = this.#due.get(address) ?? { atMs: nowMs, retryMs: NAME_RETRY_MS };
      if (atMs > nowMs) continue;
      const again = { atMs: nowMs + retryMs, retryMs: Math.min(2 * retryMs, NAME_AGAIN_MS) };
      this.#due.set(address, again);
      void this.#askName(address);
    }
  }

  async #askName(address: string): Promise<void> {
    this.#naming++;
    await this.#ask(address);
    this.#naming--;
  }

  async #ask(address: string): Promise<void> {
    const row = await this.#rowOf(address);
    if (row instanceof NoAnswer) {
      this.refused[row.fault]++;
      this.#asked.onMiss(address, row.why);
      return;
    }
    if (this.#due.has(address)) {
      const atMs = this.#asked.nowMs() + NAME_AGAIN_MS;
      this.#due.set(address, { atMs, retryMs: NAME_RETRY_MS });
    }
    this.#asked.onRow(address, row);
  }

  async #rowOf(address: string): Promise<ToldRow | NoAnswer> {
    const port = this.#asked.port();
    const prober = port === null ? null : endpointOf(address, port);
    if (prober === null) return new NoAnswer("nowhere to ask it");
    const limits = { timeoutMs: ROW_TIMEOUT_MS, bytesMax: ROW_BYTES_MAX };
    const got = await httpGet(prober, "/mesh.json", limits);
    if (got instanceof NoAnswer) return got;
    if (got.status !== 200) return new NoAnswer(`its answer has the status ${got.status}`, "malformed");
    const { readToldRow } = await import("../../diagnose/mesh/told-row.ts");
    const row = readToldRow(got.body);
    return typeof row === "string" ? new NoAnswer(row, "malformed") : row;
  }
}
