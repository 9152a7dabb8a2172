import { socketsRead } from "../../client/wake.ts";
import type { ToldRow } from "../../diagnose/mesh/told-row.ts";
import { endpointOf } from "../../net/endpoint.ts";
import { GET_FAULTS, type GetFault, NoAnswer } from "../http-answer-reader.ts";
import { httpGet } from "../http-get.ts";

/** How long a member's prober may take to tell its row: longer than a lost SYN's second try takes, which comes after 1 s. */
const ROW_TIMEOUT_MS = 1500;

/** Nobody waits on for those from whom nothing comes, when no other row has come for so long either. */
const QUIET_MS = 150;

/** More than the row of any member: 5,000 members of 130 bytes each, and their pairs. */
const ROW_BYTES_MAX = 2 * 1024 * 1024;

/** Members that are asked at once for the matrix, and for their names. */
const ROWS_AT_ONCE = 100;
const NAMES_AT_ONCE = 4;

/** After so long nobody waits on for rows: a page waits for 3 s. */
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
  /** Whose row is asked for, or is as soon as others have answered: until it has come or is given up. */
  readonly #wanted = new Map<string, Promise<void>>();
  readonly #queue: { readonly address: string; readonly done: () => void }[] = [];
  #asking = 0;
  /** Whose row did not come the last time: they are asked after the others, whom they would keep waiting. */
  readonly #late = new Set<string>();
  /** When a row came last. */
  #cameMs = Number.NEGATIVE_INFINITY;

  constructor(asked: AskMembers) {
    this.#asked = asked;
    const none = GET_FAULTS.map((fault) => [fault, 0] as const);
    this.refused = Object.fromEntries(none) as Record<GetFault, number>;
  }

  /**
   * Asks all of them, so many at once, and comes back when each has answered, when no more rows come, or when time is up.
   * Those who have not answered by then still may: what they say is told when it comes. Throws nothing.
   */
  async askAll(addresses: readonly string[]): Promise<void> {
    const isLate = (address: string): boolean => this.#late.has(address);
    const ordered = [...addresses.filter((address) => !isLate(address)), ...addresses.filter(isLate)];
    const over = new AbortController();
    const answered = Promise.all(ordered.map((address) => this.#want(address)));
    await Promise.race([answered, this.#quiet(over.signal)]);
    over.abort();
  }

  /** One row of a member is under way at most, whoever waits for it. */
  #want(address: string): Promise<void> {
    const wanted = this.#wanted.get(address);
    if (wanted !== undefined) return wanted;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted.set(address, promise);
    this.#queue.push({ address, done: resolve });
    this.#askNext();
    return promise;
  }

  #askNext(): void {
    if (this.#asking >= ROWS_AT_ONCE) return;
    const next = this.#queue.shift();
    if (next !== undefined) void this.#askQueued(next.address, next.done);
  }

  async #askQueued(address: string, done: () => void): Promise<void> {
    this.#asking++;
    await this.#ask(address);
    this.#asking--;
    this.#wanted.delete(address);
    done();
    this.#askNext();
  }

  /** Until no row has come for a while, or time is up. What is there already is read before that is said. */
  async #quiet(signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    const endMs = (): number => Math.min(startMs + ROUND_MS, Math.max(startMs, this.#cameMs) + QUIET_MS);
    while (!signal.aborted && performance.now() < endMs()) {
      await Bun.sleep(endMs() - performance.now());
      await socketsRead();
    }
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
      this.#late.add(address);
      this.#asked.onMiss(address, row.why);
      return;
    }
    this.#cameMs = performance.now();
    this.#late.delete(address);
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
    const { byOwnClock, readToldRow } = await import("../../diagnose/mesh/told-row.ts");
    const row = readToldRow(got.body);
    return typeof row === "string" ? new NoAnswer(row, "malformed") : byOwnClock(row, Date.now());
  }
}
