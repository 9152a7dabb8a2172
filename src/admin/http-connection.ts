import type { Socket } from "bun";
import { encodeAnswer, type HttpAnswer, plain } from "./http-answer.ts";
import { type HttpFault, type HttpRequest, RequestReader } from "./http-reader.ts";

/** Says what is to be said to a request. */
export type Answerer = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;

/** How long a request may take to come, an answer to be taken, and a connection to lie idle. */
const PATIENCE_MS = 10_000;

/** How long a client may take to close after the last answer; bytes that come meanwhile are thrown away. */
const LINGER_MS = 1000;

/** Bytes a client may send ahead of the answers it has; one that sends more is not after answers. */
const AHEAD_BYTES_MAX = 16_384;

const BROKEN = plain(500, "internal error");

/** Why this side ends a connection unasked. */
export const ADMIN_CLOSES = ["max_connections", "timeout", "bad_request"] as const;
export type AdminClose = (typeof ADMIN_CLOSES)[number];

/**
 * One HTTP connection: a request is read, answered, and only then is the next one read. What a client can make it
 * keep is bounded by its reader, `AHEAD_BYTES_MAX` and one answer; how long, by `deadlineMs`.
 */
export class HttpConnection {
  readonly #socket: Socket<HttpConnection>;
  readonly #answerer: Answerer;
  readonly #onClose: (reason: AdminClose) => void;
  readonly #reader = new RequestReader();
  /** Pieces of an answer that the kernel has not taken; null where it has all. */
  #unsent: readonly Uint8Array[] | null = null;
  #answering = false;
  /** The answer on its way is the last: FIN follows. */
  #last = false;
  /** The client has sent its FIN. */
  #fin = false;
  #over = false;
  #deadlineMs = performance.now() + PATIENCE_MS;

  /** @param onClose told why, where this side ends the connection unasked */
  constructor(socket: Socket<HttpConnection>, answerer: Answerer, onClose: (reason: AdminClose) => void) {
    this.#socket = socket;
    this.#answerer = answerer;
    this.#onClose = onClose;
  }

  /** An answer is being made: nobody but the server is waited for. */
  get answering(): boolean {
    return this.#answering;
  }

  /** Bytes have come. */
  take(bytes: Uint8Array): void {
    if (this.#last || this.#over) return;
    if (this.#reader.between && this.#unsent === null) this.#deadlineMs = performance.now() + PATIENCE_MS;
    this.#reader.push(bytes);
    this.#serve();
  }

  /** There is room for more of the answer. */
  writable(): void {
    if (this.#unsent === null) return;
    this.#write(this.#unsent);
    this.#serve();
  }

  /** The client's FIN has come: it gets the answers to what it has asked, then ours. */
  finish(): void {
    this.#fin = true;
    if (!this.#answering && this.#unsent === null) this.#socket.end();
  }

  /** The socket is closed. */
  closed(): void {
    this.#over = true;
  }

  /** Whether the client was waited for too long. */
  isOverdue(nowMs: number): boolean {
    return !this.#answering && nowMs >= this.#deadlineMs;
  }

  /**
   * Ends the connection now: by FIN where all that was asked is answered, else by a reset. One that has had its last
   * answer was to end anyway, and is not counted.
   */
  end(reason: AdminClose): void {
    if (this.#over) return;
    this.#over = true;
    const idle = !this.#answering && this.#unsent === null;
    if (!this.#last || !idle) this.#onClose(reason);
    if (idle && (this.#last || this.#reader.between)) this.#socket.end();
    else this.#socket.terminate();
  }

  /** Answers what has come, one request after another, as far as the client takes the answers. */
  #serve(): void {
    while (!this.#answering && this.#unsent === null && !this.#last && !this.#over) {
      const found = this.#reader.next();
      if (found === null) break;
      if ("status" in found) this.#refuse(found);
      else this.#answer(found);
    }
    this.#reader.trim();
    if (this.#reader.unread > AHEAD_BYTES_MAX) this.end("bad_request");
    else if (this.#fin && !this.#answering && this.#unsent === null) this.#socket.end();
  }

  #refuse({ status, why }: HttpFault): void {
    this.#onClose("bad_request");
    this.#send(plain(status, why), false, true);
  }

  #answer(request: HttpRequest): void {
    let answer: HttpAnswer | Promise<HttpAnswer>;
    try {
      answer = this.#answerer(request);
    } catch {
      answer = BROKEN;
    }
    if (answer instanceof Promise) void this.#answerLate(request, answer);
    else this.#send(answer, request.method === "HEAD", request.close);
  }

  async #answerLate(request: HttpRequest, coming: Promise<HttpAnswer>): Promise<void> {
    this.#answering = true;
    const answer = await coming.catch(() => BROKEN);
    this.#answering = false;
    if (this.#over) return;
    this.#send(answer, request.method === "HEAD", request.close);
    this.#serve();
  }

  #send(answer: HttpAnswer, headOnly: boolean, close: boolean): void {
    this.#last = close;
    this.#deadlineMs = performance.now() + PATIENCE_MS;
    this.#write(encodeAnswer(answer, headOnly, close));
  }

  /** A write takes all of a piece, a part, or -1 where the connection is gone and `closed` will tell. */
  #write(pieces: readonly Uint8Array[]): void {
    this.#unsent = null;
    for (const [at, bytes] of pieces.entries()) {
      const sent = Math.max(0, this.#socket.write(bytes));
      if (sent === bytes.length) continue;
      this.#unsent = [bytes.subarray(sent), ...pieces.slice(at + 1)];
      return;
    }
    if (!this.#last) return;
    // A close with bytes unread would reset the connection and could take the answer back: FIN first, and what still
    // comes is read until the client closes too.
    this.#socket.shutdown();
    this.#deadlineMs = performance.now() + LINGER_MS;
  }
}
