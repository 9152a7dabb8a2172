import { adoptingDial } from "../client/bun/dial-adopted.ts";
import type { Dial } from "../client/dial.ts";
import { Failure } from "../client/failure.ts";
import { TcpSession } from "../client/tcp-session.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { takeBackTcpEnd, tellTcpEnd } from "../state/probe-end.ts";
import type { SharedTables } from "../state/shared.ts";
import { makeNonce, type ProbeFault, probeFault } from "./probe.ts";

/**
 * Connects to the TCP front door from an end that the loops know (`state/probe-end.ts`), waits for the banner and
 * the echo of a few bytes, and leaves by a reset. What a client would see is seen; what limits clients does not
 * limit it, so at a limit it tells whether those that are here are served.
 *
 * A connection whose answer is late stays open, and the next question waits for it: closed, it would be accepted
 * later, when its end is no longer known, as a client that left at once.
 */
export class TcpProbe {
  readonly #tables: SharedTables;
  readonly #endpoint: Endpoint;
  readonly #dial: Dial;
  readonly #stop = new AbortController();
  /** The one whose answer is late. */
  #session: TcpSession | null = null;

  /** @throws where libc cannot be called */
  constructor(tables: SharedTables, endpoint: Endpoint) {
    const dial = adoptingDial();
    if (dial === null)
      throw new Error("a probe's end is told by system calls, and libc cannot be called here");
    this.#tables = tables;
    this.#endpoint = endpoint;
    this.#dial = (target, source, events) => {
      const giveUp = dial(target, source, events);
      return () => {
        takeBackTcpEnd(tables);
        giveUp();
      };
    };
  }

  /** Null when the echo came within `timeoutMs`, else what went wrong. One question at a time. */
  async ask(timeoutMs: number): Promise<ProbeFault | null> {
    const endMs = performance.now() + timeoutMs;
    // What came after the time of an earlier question tells nothing of now.
    if (this.#session !== null && !isLate(await this.#session.overdue(0))) await this.#leave();
    const failure = await (this.#session?.overdue(timeoutMs) ?? this.#askAnew(endMs));
    if (!isLate(failure)) await this.#leave();
    return failure === null ? null : probeFault(failure, timeoutMs);
  }

  /** Asks no more. Its end is taken back before it is anybody's. */
  close(): void {
    void this.#leave();
    this.#stop.abort();
  }

  async #askAnew(endMs: number): Promise<Failure | null> {
    const { address } = this.#endpoint;
    const session = await TcpSession.open(this.#endpoint, {
      connectTimeoutMs: endMs - performance.now(),
      source: { address, bound: (port) => tellTcpEnd(this.#tables, address, port) },
      signal: this.#stop.signal,
      dial: this.#dial,
    });
    if (session instanceof Failure) return session;
    this.#session = session;
    const echo = await session.echo(makeNonce(), endMs - performance.now());
    return echo instanceof Failure ? echo : null;
  }

  /** By a reset: no TIME-WAIT is left of it, however often it is done. */
  async #leave(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    takeBackTcpEnd(this.#tables);
    await session?.reset();
  }
}

/** Whether the connection is there, and only its answer is not. */
function isLate(failure: Failure | null): boolean {
  return failure?.code === "silent";
}
