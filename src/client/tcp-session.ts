import { isIPv4 } from "../net/address.ts";
import { type Banner, BannerReader } from "../net/banner.ts";
import { type Endpoint, endpointOf, isLinkLocal } from "../net/endpoint.ts";
import type { ConnectionEvents, Dial, Source } from "./dial.ts";
import { dialByBun } from "./dial-bun.ts";
import { linuxDial } from "./dial-linux.ts";
import { Expected } from "./expected.ts";
import { Failure, type FailureCode, meaningOf } from "./failure.ts";
import { Patience, Wake } from "./wake.ts";

export interface TcpOptions {
  /** From the first SYN until there is a connection. */
  readonly connectTimeoutMs: number;
  /** This end; default: the system's choice. */
  readonly source?: Source;
  /** Sent before all else and not echoed: a PROXY header. */
  readonly preamble?: Uint8Array;
  /** Resets the session, or gives up connecting; what is waited for is then `aborted`. */
  readonly signal?: AbortSignal;
  /** How connections are made. Default: by system calls where they are to be had, else by Bun. */
  readonly dial?: Dial;
}

/** A message and its echo, as one. */
export interface Echo {
  readonly bytes: number;
  /** From the sending of the first byte to the arrival of the last, in ms. */
  readonly roundTripMs: number;
}

/** What came after this end had said that it sends no more. */
export interface HalfClose {
  /** `whole`: all came, then the end. `cut`: the end came first. `no_end`: all came, and then no end. */
  readonly tail: "whole" | "cut" | "no_end";
  /** Bytes that came back, of those that were `due` when the FIN was sent: the last message, and what was not back yet. */
  readonly bytes: number;
  readonly due: number;
  readonly endedBy: "fin" | "reset" | null;
}

/** Bytes that nobody asked for yet are kept up to here; then reading stops until they are. */
const EARLY_BYTES_MAX = 1024 * 1024;

/** How long a FIN of ours may take to close a session; then it is reset. */
const END_MS = 1000;

let preferredDial: Dial | null = null;

/**
 * One TCP session with an echo server: any that answers with what it was sent, after a banner or without one.
 *
 *     const session = await TcpSession.open(target, { connectTimeoutMs: 2000 });
 *     if (session instanceof Failure) return session.code;
 *     await using _ = session;
 *     const echo = await session.echo(makePayload(key, 0, 64), 2000);
 *
 * What the network does is a `Failure` that is returned, never thrown. Whether a banner comes is seen from the answer
 * to the first message. Every byte is compared with what was sent; after one that is wrong the session stays
 * `corrupted`. One question at a time. A session that is disposed of is reset, so that no port stays in TIME-WAIT.
 */
export class TcpSession implements AsyncDisposable {
  readonly target: Endpoint;
  /** This end, as this machine sees it. */
  local: Endpoint;
  /** From the first SYN to the connection. */
  connectMs = 0;
  /** From the connection to the first byte that came, be it of a banner; null while none has. */
  firstByteMs: number | null = null;
  /** What the server said first; null if nothing, and while that is not known: see `greeted`. */
  banner: Banner | null = null;
  readonly #expected = new Expected();
  readonly #wake = new Wake();
  readonly #closed = Promise.withResolvers<void>();
  #socket: Bun.Socket<undefined> | null = null;
  #reader: BannerReader | null = new BannerReader();
  #unsent: Uint8Array;
  #finDue = false;
  #paused = false;
  /** A write was refused: the other end has reset, and the socket's close does not always say so. */
  #broken = false;
  #connectedAtMs = 0;
  #lastByteAtMs = 0;
  /** Rises with all that is taken by the kernel or comes from it. */
  #progress = 0;
  #ending: { readonly code: FailureCode; readonly detail: string } | null = null;
  #forgetSignal = (): void => {};

  private constructor(target: Endpoint, preamble: Uint8Array) {
    this.target = target;
    this.local = { ...target, port: 0 };
    this.#unsent = preamble;
  }

  /** Connects to `target`. The session, or why there is none. */
  static async open(target: Endpoint, options: TcpOptions): Promise<TcpSession | Failure> {
    const { source = {}, signal, connectTimeoutMs, preamble = new Uint8Array(0) } = options;
    if (signal?.aborted) return new Failure("aborted");
    const { address } = source;
    if (address !== undefined && isIPv4(address) !== isIPv4(target.address))
      return new Failure("no_such_address");
    const session = new TcpSession(target, preamble);
    session.#heed(signal);
    preferredDial ??= linuxDial() ?? dialByBun;
    const giveUp = (options.dial ?? preferredDial)(target, source, session.#events(performance.now()));
    const connected = (): true | null => (session.#ending !== null || session.#socket !== null ? true : null);
    await session.#wake.until(connected, new Patience(connectTimeoutMs));
    if (session.#socket !== null) return session;
    giveUp();
    session.#over("timeout"); // unless there is a better reason already
    return session.ended ?? session.#failure("timeout");
  }

  /** Whether it is known by now if there is a banner. */
  get greeted(): boolean {
    return this.#reader === null;
  }

  /** Payload bytes that came back and were right. */
  get echoedBytes(): number {
    return this.#expected.total;
  }

  /** Bytes that came beyond all that was sent so far. */
  get excessBytes(): number {
    return this.#expected.earlyBytes;
  }

  /** How the session came to its end; null while it has not. */
  get ended(): Failure | null {
    return this.#ending === null ? null : this.#failure(this.#ending.code, this.#ending.detail);
  }

  /**
   * Sends a message and waits for its echo. One that does not come in time (`silent`) is still due, since a stream
   * loses nothing: it comes before the echo of the next message.
   * @param message one byte or more, which must not change meanwhile
   * @param timeoutMs from now to the last byte of the echo
   */
  echo(message: Uint8Array, timeoutMs: number): Promise<Echo | Failure> {
    const patience = new Patience(timeoutMs);
    return this.#exchange(message, (look) => this.#wake.until(look, patience));
  }

  /** As `echo`, for many bytes: fails when for `stallMs` none was sent and none came. */
  bulk(message: Uint8Array, stallMs: number): Promise<Echo | Failure> {
    return this.#exchange(message, (look) => this.#untilStalled(look, stallMs));
  }

  /** Sends nothing, and waits for what is still due from messages whose echo did not come in time. Null: all came. */
  overdue(timeoutMs: number): Promise<Failure | null> {
    const patience = new Patience(timeoutMs);
    return this.#allThatIsDue((look) => this.#wake.until(look, patience));
  }

  /**
   * Sends a last message (it may be empty) and a FIN, and waits for the rest of the echo and for the other end's FIN.
   * Fails with `silent` when for `stallMs` nothing happened and bytes are missing, and with `corrupted`.
   */
  async halfClose(message: Uint8Array, stallMs: number): Promise<HalfClose | Failure> {
    const fault = this.#fault();
    if (fault !== null) return fault;
    this.#finDue = true;
    this.#send(message);
    const { total: before, due } = this.#expected;
    await this.#untilStalled(() => this.#fault(), stallMs);
    const { total, wrong, earlyBytes } = this.#expected;
    if (wrong !== null || earlyBytes > 0) return this.#failure("corrupted", "", wrong);
    const tail = { bytes: total - before, due };
    const whole = tail.bytes === due;
    const { code } = this.#ending ?? {};
    if (code === undefined)
      return whole ? { tail: "no_end", ...tail, endedBy: null } : this.#failure("silent");
    if (code !== "closed" && code !== "reset") return this.#failure(code);
    return { tail: whole ? "whole" : "cut", ...tail, endedBy: code === "closed" ? "fin" : "reset" };
  }

  /** Ends the session by a FIN. This end is then in TIME-WAIT, unless the other's FIN came first. */
  async end(): Promise<void> {
    this.#over("ended");
    this.#socket?.end();
    const timer = setTimeout(() => this.#socket?.terminate(), END_MS);
    await this.#closed.promise;
    clearTimeout(timer);
  }

  /** Ends the session by a reset, which leaves nothing behind on this machine. */
  async reset(): Promise<void> {
    this.#over("ended");
    this.#socket?.terminate();
    await this.#closed.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.reset();
  }

  async #exchange(
    message: Uint8Array,
    until: (look: () => true | null) => Promise<unknown>,
  ): Promise<Echo | Failure> {
    if (message.length === 0) throw new RangeError("an empty message has no echo in a stream");
    const fault = this.#fault();
    if (fault !== null) return fault;
    const sentAtMs = performance.now();
    this.#send(message);
    const failure = await this.#allThatIsDue(until);
    if (failure !== null) return failure;
    return { bytes: message.length, roundTripMs: this.#lastByteAtMs - sentAtMs };
  }

  /** Waits until all is back that was sent; why not, where it does not come. */
  async #allThatIsDue(until: (look: () => true | null) => Promise<unknown>): Promise<Failure | null> {
    const isAll = (): boolean => this.#expected.due === 0 && this.#expected.wrong === null;
    await until(() => (isAll() || this.#fault() !== null ? true : null));
    return isAll() ? null : (this.#fault() ?? this.#failure("silent"));
  }

  /** Waits as `Wake.until` does, with all of the time again after each byte that went or came. */
  #untilStalled<T>(look: () => T | null, stallMs: number): Promise<T | null> {
    const patience = new Patience(stallMs);
    let seen = this.#progress;
    return this.#wake.until(() => {
      if (this.#progress !== seen) patience.renew();
      seen = this.#progress;
      return look();
    }, patience);
  }

  /** Why nothing more can be asked; null while it can. */
  #fault(): Failure | null {
    const { wrong } = this.#expected;
    return wrong === null ? this.ended : this.#failure("corrupted", "", wrong);
  }

  #failure(code: FailureCode, detail = "", received: Uint8Array | null = null): Failure {
    return new Failure(code, this.#expected.total, detail, received);
  }

  #send(message: Uint8Array): void {
    this.#expected.send(message);
    this.#unsent = this.#unsent.length === 0 ? message : Buffer.concat([this.#unsent, message]);
    if (this.#paused) this.#socket?.resume();
    this.#paused = false;
    this.#pump();
  }

  /** Gives the kernel what it takes; the rest waits until the socket is writable. */
  #pump(): void {
    const socket = this.#socket;
    if (socket === null) return;
    while (this.#unsent.length > 0) {
      const taken = socket.write(this.#unsent);
      if (taken < 0) this.#broken = true;
      if (taken <= 0) return;
      this.#unsent = this.#unsent.subarray(taken);
      this.#progress++;
    }
    if (this.#finDue) socket.shutdown();
    this.#finDue = false;
  }

  #events(startMs: number): ConnectionEvents {
    return {
      connected: (socket) => this.#connected(socket, startMs),
      failed: ({ code, detail }) => {
        this.#over(code, detail);
        this.#closed.resolve();
      },
      data: (bytes) => this.#take(bytes),
      writable: () => {
        this.#pump();
        this.#wake.notify();
      },
      fin: () => this.#over(this.#broken ? "reset" : "closed"),
      closed: (error) => {
        const code = error === null ? (this.#broken ? "reset" : "closed") : meaningOf(error);
        this.#over(code, error ?? "");
        this.#closed.resolve();
      },
    };
  }

  #connected(socket: Bun.Socket<undefined>, startMs: number): void {
    if (this.#ending !== null) {
      socket.terminate();
      return;
    }
    this.#connectedAtMs = performance.now();
    this.connectMs = this.#connectedAtMs - startMs;
    this.#socket = socket;
    const local = endpointOf(socket.localAddress, socket.localPort);
    const { zone } = this.target;
    if (local !== null)
      this.local = zone !== undefined && isLinkLocal(local.address) ? { ...local, zone } : local;
    this.#pump();
    this.#wake.notify();
  }

  #take(bytes: Uint8Array): void {
    this.#lastByteAtMs = performance.now();
    this.firstByteMs ??= this.#lastByteAtMs - this.#connectedAtMs;
    this.#progress++;
    this.#expected.take(this.#reader === null ? bytes : this.#afterBanner(this.#reader, bytes));
    if (this.#expected.earlyBytes > EARLY_BYTES_MAX && !this.#paused) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wake.notify();
  }

  /** The bytes that are payload. None while what comes may still be a banner. */
  #afterBanner(reader: BannerReader, bytes: Uint8Array): Uint8Array {
    const beginning = reader.take(bytes);
    if (beginning === null) return new Uint8Array(0);
    this.#reader = null;
    this.banner = beginning.banner;
    return beginning.rest;
  }

  /** Resets the session when its owner's signal says so. */
  #heed(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = (): void => {
      this.#over("aborted");
      this.#socket?.terminate();
    };
    signal.addEventListener("abort", abort);
    this.#forgetSignal = () => signal.removeEventListener("abort", abort);
  }

  /** The first reason for the end is the one that counts. */
  #over(code: FailureCode, detail = ""): void {
    this.#ending ??= { code, detail };
    this.#forgetSignal();
    if (this.#socket === null) this.#closed.resolve();
    this.#wake.notify();
  }
}
