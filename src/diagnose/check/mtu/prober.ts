import type { Failure } from "../../../client/failure.ts";
import { makePayload, newRun } from "../../../client/payload.ts";
import type { UdpSocketOptions } from "../../../client/udp-socket.ts";
import { Patience, Wake } from "../../../client/wake.ts";
import type { Address } from "../../../net/address.ts";
import type { Endpoint } from "../../../net/endpoint.ts";
import { flowText } from "../../words.ts";
import type { Asked, CheckContext } from "../plan.ts";
import { Attempt } from "./attempt.ts";
import { Gate } from "./gate.ts";
import type { Asking, Look, Probe } from "./look.ts";

/**
 * Bytes under way at once, and the least that a size counts for: eight small ones, or one of the largest, so that the
 * questions themselves fill no queue on the path.
 */
const UNDER_WAY_BYTES = 65_536;
const COST_MIN = UNDER_WAY_BYTES / 8;

/** How long an answer is waited for before the next try: some round trips, and no less than a busy machine may need. */
const PATIENCE_MIN_MS = 200;
const ROUND_TRIPS = 4;

/** Up to here a round trip says how far the far end is, beyond also how fast the links are. */
const SMALL_BYTES = 600;

const NOTHING: Look = {
  there: "lost",
  back: "unknown",
  fragmentBytes: 0,
  told: null,
  failed: 0,
  flow: null,
};

/**
 * Asks a path about sizes. Each try is a new session from a port of its own: of a server with banners two datagrams
 * come, and the banner without the echo says that the way back has lost it.
 */
export class Prober {
  /** Whether a banner has come. */
  banners = false;
  /** Whether this machine said of an echo if it came in fragments. */
  tellsFragments = true;
  /** Why no more can be asked, if that is so. */
  failure: Failure | null = null;
  readonly #asked: Asked;
  readonly #context: CheckContext;
  readonly #isOver: () => boolean;
  readonly #gate = new Gate(UNDER_WAY_BYTES);
  readonly #run = newRun();
  #tries = 0;
  #own: Address | null = null;
  #slowestMs = 0;
  #slowestByteMs = 0;

  /** @param isOver no answer is waited for any more */
  constructor(asked: Asked, context: CheckContext, isOver: () => boolean) {
    this.#asked = asked;
    this.#context = context;
    this.#isOver = isOver;
  }

  /** This end's address, once an answer has come to it. */
  get own(): Address | null {
    return this.#own ?? this.#context.settings.source.address ?? null;
  }

  readonly probe: Probe = (size, asking) =>
    this.#gate.pass(Math.max(size, COST_MIN), () => this.#ask(size, asking));

  async #ask(size: number, { dontFragment, tries }: Asking): Promise<Look> {
    const wake = new Wake();
    const attempts: Attempt[] = [];
    const wakeUp = (): void => wake.notify();
    this.#context.signal.addEventListener("abort", wakeUp);
    try {
      while (attempts.length < tries && !this.#isOver() && this.failure === null) {
        const attempt = this.#attempt(size, wakeUp);
        attempts.push(attempt);
        const notSent = await attempt.send(this.#context.sockets.openUdp, this.#options(dontFragment));
        if (notSent?.code === "too_big") return { ...NOTHING, there: "here" };
        if (notSent !== null && attempt.local === null) this.failure = notSent;
        else await wake.until(() => this.#isSettled(attempts, dontFragment), this.#patience(size));
        if (this.#isEnough(attempts, dontFragment)) break;
      }
      return this.#lookOf(attempts, size);
    } finally {
      this.#context.signal.removeEventListener("abort", wakeUp);
      for (const attempt of attempts) attempt[Symbol.dispose]();
    }
  }

  #attempt(size: number, changed: () => void): Attempt {
    const payload = makePayload({ run: this.#run, flow: this.#tries++ }, 0, size);
    return new Attempt(this.#asked.endpoint, payload, changed);
  }

  /** Not the source port that was asked for: each try has its own. */
  #options(dontFragment: boolean): UdpSocketOptions {
    const { address } = this.#context.settings.source;
    const source = address === undefined ? {} : { address };
    return { source, connected: false, dontFragment, cuttable: !dontFragment };
  }

  /** Whether it makes no sense to wait longer for the latest try; null if it does. */
  #isSettled(attempts: readonly Attempt[], dontFragment: boolean): true | null {
    const isTold = attempts.at(-1)?.told != null;
    return this.#isEnough(attempts, dontFragment) || isTold || this.#isOver() ? true : null;
  }

  /** One answer to any try is enough; ICMP's word too, but where this machine heeds it and cuts the next one. */
  #isEnough(attempts: readonly Attempt[], dontFragment: boolean): boolean {
    return attempts.some(({ isAnswered, told }) => isAnswered || (dontFragment && told !== null));
  }

  #patience(size: number): Patience {
    const expectedMs = this.#slowestMs + this.#slowestByteMs * size;
    const ms = Math.min(this.#context.settings.timeoutMs, ROUND_TRIPS * expectedMs);
    return new Patience(Math.max(PATIENCE_MIN_MS, ms));
  }

  #lookOf(attempts: readonly Attempt[], size: number): Look {
    const flow = this.#flowOf(attempts.at(-1)?.local ?? null);
    this.banners ||= attempts.some(({ banner }) => banner);
    const echoed = attempts.findIndex(({ echo }) => echo !== null);
    const inVain = echoed === -1 ? attempts : attempts.slice(0, echoed);
    const common = { ...NOTHING, failed: inVain.filter(({ told }) => told === null).length, flow };
    if (echoed !== -1) return { ...common, ...this.#learn(attempts[echoed]!, size) };
    if (attempts.some(({ shortened }) => shortened)) {
      return { ...common, there: "passed", back: "shortened" };
    }
    if (attempts.some(({ banner }) => banner)) return { ...common, there: "passed", back: "lost" };
    const told = attempts.find((attempt) => attempt.told !== null)?.told ?? null;
    if (told !== null) return { ...common, there: "told", told };
    return { ...common, there: this.banners ? "lost" : "unknown" };
  }

  /** What an echo tells, of its size and of the path. */
  #learn(attempt: Attempt, size: number): Pick<Look, "there" | "back" | "fragmentBytes"> {
    const { fragmentBytes, atMs, to } = attempt.echo!;
    const roundTripMs = Math.max(0, atMs - attempt.sentAtMs);
    if (size < SMALL_BYTES) this.#slowestMs = Math.max(this.#slowestMs, roundTripMs);
    else this.#slowestByteMs = Math.max(this.#slowestByteMs, (roundTripMs - this.#slowestMs) / size);
    this.#own ??= to;
    if (fragmentBytes === null) this.tellsFragments = false;
    const back = fragmentBytes === null || fragmentBytes === 0 ? "whole" : "cut";
    return { there: "passed", back, fragmentBytes: fragmentBytes ?? 0 };
  }

  #flowOf(local: Endpoint | null): string | null {
    if (local === null) return null;
    const { own } = this;
    return flowText("udp", own === null ? local : { ...local, address: own }, this.#asked.endpoint);
  }
}
