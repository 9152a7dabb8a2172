import { OwnSocket } from "../engine/own-socket.ts";
import type { Address } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { takeBackTcpEnd, tellTcpEnd } from "../state/probe-end.ts";
import type { SharedTables } from "../state/shared.ts";
import {
  CLOSED,
  cannotConnect,
  cannotOpen,
  judgeAnswer,
  makeNonce,
  type ProbeFault,
  timedOut,
} from "./probe.ts";

/** Time between two looks for the answer: short at first, since it takes less than a millisecond most often. */
const PAUSE_MS_MIN = 1;
const PAUSE_MS_MAX = 16;

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
  readonly #address: Address;
  readonly #port: number;
  readonly #socket = new OwnSocket();
  #nonce = "";
  #sent = false;
  #answer = "";

  /** @throws where libc cannot be called */
  constructor(tables: SharedTables, { address, port }: Endpoint) {
    this.#tables = tables;
    this.#address = address;
    this.#port = port;
  }

  /** Null when the echo came within `timeoutMs`, else what went wrong. One question at a time. */
  async ask(timeoutMs: number): Promise<ProbeFault | null> {
    const endMs = performance.now() + timeoutMs;
    // What came after the time of an earlier question tells nothing of now.
    if (this.#socket.isOpen && this.#look() !== undefined) this.close();
    const fault = this.#socket.isOpen ? null : this.#open();
    if (fault !== null) return fault;
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      const outcome = this.#look();
      const leftMs = endMs - performance.now();
      if (outcome !== undefined || (leftMs <= 0 && !this.#sent)) this.close();
      if (outcome !== undefined) return outcome;
      if (leftMs <= 0) return timedOut(timeoutMs);
      await Bun.sleep(Math.min(pauseMs, leftMs));
    }
  }

  /** Its end is taken back before it is anybody's. */
  close(): void {
    takeBackTcpEnd(this.#tables);
    this.#socket.close();
  }

  #open(): ProbeFault | null {
    const failure = this.#socket.open(this.#address);
    if (failure !== null) return cannotOpen(failure);
    this.#nonce = makeNonce();
    this.#sent = false;
    this.#answer = "";
    tellTcpEnd(this.#tables, this.#address, this.#socket.port);
    const refusal = this.#socket.connect(this.#address, this.#port);
    if (refusal === null) return null;
    this.close();
    return cannotConnect(refusal);
  }

  /** What has become of the connection: the echo (null), a fault, or nothing yet (undefined). */
  #look(): ProbeFault | null | undefined {
    if (!this.#socket.isOpen) return CLOSED; // the server stops
    if (!this.#sent) {
      const failure = this.#socket.send(Buffer.from(this.#nonce));
      if (failure !== null) return failure === "EAGAIN" ? undefined : unanswered(failure);
      this.#sent = true;
    }
    for (;;) {
      const failure = this.#socket.receive();
      if (failure !== null) return failure === "EAGAIN" ? undefined : unanswered(failure);
      const { received } = this.#socket;
      if (received.length === 0) return CLOSED;
      this.#answer += Buffer.from(received).toString("latin1");
      const outcome = judgeAnswer(this.#answer, this.#nonce);
      if (outcome !== undefined) return outcome;
    }
  }
}

function unanswered(code: string): ProbeFault {
  return code === "ECONNREFUSED" ? cannotConnect(code) : CLOSED;
}
