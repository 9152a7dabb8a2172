import { isIPv4 } from "../net/address.ts";
import type { Banner } from "../net/banner.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { dialByBun } from "./bun/dial.ts";
import { adoptingDial } from "./bun/dial-adopted.ts";
import type { Dial, Source, TcpInfo } from "./dial.ts";
import { Failure } from "./failure.ts";
import { TcpStream } from "./tcp-stream.ts";
import { Patience } from "./wake.ts";

interface TcpOptions {
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

/** How long a FIN of ours may take to close a session; then it is reset. */
const END_MS = 1000;

let preferredDial: Dial | null = null;

/** Waits until `look` gives something, or time is up. */
type Until = (look: () => true | null) => Promise<unknown>;

/**
 * One TCP session with an echo server: any that answers with what it was sent, after a banner or without one.
 *
 *     const session = await TcpSession.open(target, { connectTimeoutMs: 2000 });
 *     if (session instanceof Failure) return session.code;
 *     await using _ = session;
 *     const echo = await session.echo(makePayload(key, 0, 64), 2000);
 *
 * What the network does is a `Failure` that is returned, never thrown. Whether a banner comes is seen from the answer
 * to the first message, which for that must not start as banners do (none of `makePayload` does). Every byte is
 * compared with what was sent; after one that is wrong the session stays `corrupted`. One question at a time. A session
 * that is disposed of is reset, so that no port stays in TIME-WAIT.
 */
export class TcpSession implements AsyncDisposable {
  readonly #stream: TcpStream;
  /** This end has said that it sends no more. */
  #halfClosed = false;

  private constructor(stream: TcpStream) {
    this.#stream = stream;
  }

  /** Connects to `target`. The session, or why there is none. */
  static async open(target: Endpoint, options: TcpOptions): Promise<TcpSession | Failure> {
    const { source = {}, signal, connectTimeoutMs, preamble = new Uint8Array(0) } = options;
    if (signal?.aborted) return new Failure("aborted");
    const { address } = source;
    const otherFamily = address !== undefined && isIPv4(address) !== isIPv4(target.address);
    if (otherFamily) return new Failure("no_such_address");
    const stream = new TcpStream(target, preamble);
    if (signal !== undefined) stream.heed(signal);
    preferredDial ??= adoptingDial() ?? dialByBun;
    const giveUp = (options.dial ?? preferredDial)(target, source, stream.events);
    const decided = (): true | null => (stream.wasConnected || stream.ended !== null ? true : null);
    await stream.wake.until(decided, new Patience(connectTimeoutMs));
    if (stream.wasConnected && stream.ended?.code !== "aborted") return new TcpSession(stream);
    giveUp();
    stream.over("timeout"); // unless there is a better reason already
    return stream.ended ?? stream.failure("timeout");
  }

  get target(): Endpoint {
    return this.#stream.target;
  }

  /** This end, as this machine sees it. */
  get local(): Endpoint {
    return this.#stream.local;
  }

  /** From the first SYN to the connection. */
  get connectMs(): number {
    return this.#stream.connectMs;
  }

  /**
   * From the connection to the first byte that came, be it of a banner; null while none has, and where the byte was
   * there before this program saw the connection, which it cannot date then.
   */
  get firstByteMs(): number | null {
    return this.#stream.firstByteMs;
  }

  /** What the server said first; null if nothing, and while that is not known: see `greeted`. */
  get banner(): Banner | null {
    return this.#stream.banner;
  }

  /** Whether it is known by now if there is a banner. */
  get greeted(): boolean {
    return this.#stream.greeted;
  }

  /** Payload bytes that came back and were right. */
  get echoedBytes(): number {
    return this.#stream.expected.total;
  }

  /** When the latest byte came, by `performance.now()`; 0 before the first. */
  get lastByteAtMs(): number {
    return this.#stream.lastByteAtMs;
  }

  /** Bytes that came beyond all that was sent so far. */
  get excessBytes(): number {
    return this.#stream.expected.earlyBytes;
  }

  /** The first of them; a copy. */
  get excess(): Uint8Array {
    return this.#stream.expected.early;
  }

  /** What the kernel knows of the path now; null where it does not say. Of a session that has ended: what it knew last. */
  get info(): TcpInfo | null {
    return this.#stream.info;
  }

  /** Bytes that were to be sent and that the kernel had no room for so far. */
  get unsentBytes(): number {
    return this.#stream.unsentBytes;
  }

  /** Why nothing more will come back that could be right: `corrupted`, or how the session ended; null while something may. */
  get fault(): Failure | null {
    return this.#stream.expected.wrong === null ? this.#stream.ended : this.#corrupted();
  }

  /** How the session came to its end; null while it has not. */
  get ended(): Failure | null {
    return this.#stream.ended;
  }

  /**
   * Sends a message and waits for its echo. One that does not come in time (`silent`) is still due, since a stream
   * loses nothing: it comes before the echo of the next message.
   * @param message one byte or more, which must not change until its echo has come
   * @param timeoutMs from now to the last byte of the echo
   */
  echo(message: Uint8Array, timeoutMs: number): Promise<Echo | Failure> {
    return this.#exchange(message, this.#within(timeoutMs));
  }

  /** As `echo`, for many bytes: fails when for `stallMs` none was sent and none came. */
  bulk(message: Uint8Array, stallMs: number): Promise<Echo | Failure> {
    return this.#exchange(message, this.#unlessStalled(stallMs));
  }

  /**
   * Sends a message whose echo is not waited for: others may be under way. Null, or why nothing can be sent.
   * @param message must not change until its echo has come
   * @param echoed told when the last byte of its echo came, by `performance.now()`, if all of it came and was right
   */
  send(message: Uint8Array, echoed?: (atMs: number) => void): Failure | null {
    const fault = this.#cannotSend();
    const stream = this.#stream;
    if (fault === null) stream.send(message, () => echoed?.(stream.lastByteAtMs));
    return fault;
  }

  /** Waits until bytes came or went, or there is a `fault`. False where nothing was, and the sockets hold nothing now. */
  async change(timeoutMs: number): Promise<boolean> {
    const stream = this.#stream;
    const seen = stream.progress;
    const changed = (): true | null => (stream.progress !== seen || this.fault !== null ? true : null);
    return (await stream.wake.until(changed, new Patience(timeoutMs))) !== null;
  }

  /** Sends nothing, and waits for what is still due from messages whose echo did not come in time. Null: all came. */
  overdue(timeoutMs: number): Promise<Failure | null> {
    return this.#allThatIsDue(this.#within(timeoutMs));
  }

  /**
   * Sends a last message (it may be empty) and a FIN, and waits for the rest of the echo and for the other end's FIN.
   * Fails with `silent` when for `stallMs` nothing happened and bytes are missing, and with `corrupted`.
   */
  async halfClose(message: Uint8Array, stallMs: number): Promise<HalfClose | Failure> {
    const fault = this.#cannotSend();
    if (fault !== null) return fault;
    this.#halfClosed = true;
    this.#stream.send(message);
    this.#stream.shutdown();
    const { total: before, due } = this.#stream.expected;
    await this.#unlessStalled(stallMs)(() => (this.fault === null ? null : true));
    return this.#judgeTail(before, due);
  }

  /** Reads nothing until `resume`, as a slow reader does: soon the other end can send no more. */
  pause(): void {
    this.#stream.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#stream.resume();
  }

  /** Ends the session by a FIN. This end is then in TIME-WAIT, unless the other's FIN came first. */
  end(): Promise<void> {
    return this.#stream.end(END_MS);
  }

  /** Ends the session by a reset, which leaves nothing behind on this machine. */
  reset(): Promise<void> {
    return this.#stream.reset("ended");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.reset();
  }

  async #exchange(message: Uint8Array, until: Until): Promise<Echo | Failure> {
    if (message.length === 0) throw new RangeError("an empty message has no echo in a stream");
    const fault = this.#cannotSend();
    if (fault !== null) return fault;
    const sentAtMs = performance.now();
    this.#stream.send(message);
    const failure = await this.#allThatIsDue(until);
    return failure ?? { bytes: message.length, roundTripMs: this.#stream.lastByteAtMs - sentAtMs };
  }

  /** Waits until all is back that was sent; why not, where it does not come. */
  async #allThatIsDue(until: Until): Promise<Failure | null> {
    const { expected } = this.#stream;
    const isAll = (): boolean => expected.due === 0 && expected.wrong === null;
    await until(() => (isAll() || this.fault !== null ? true : null));
    return isAll() ? null : (this.fault ?? this.#stream.failure("silent"));
  }

  /** What the tail is, of which `due` bytes were to come after the first `before` of the session. */
  #judgeTail(before: number, due: number): HalfClose | Failure {
    const { expected, ended } = this.#stream;
    if (expected.wrong !== null || expected.earlyBytes > 0) return this.#corrupted();
    const bytes = expected.total - before;
    const whole = bytes === due;
    if (ended === null) {
      return whole ? { tail: "no_end", bytes, due, endedBy: null } : this.#stream.failure("silent");
    }
    if (ended.code !== "closed" && ended.code !== "reset") return ended;
    return { tail: whole ? "whole" : "cut", bytes, due, endedBy: ended.code === "closed" ? "fin" : "reset" };
  }

  #within(timeoutMs: number): Until {
    const patience = new Patience(timeoutMs);
    return (look) => this.#stream.wake.until(look, patience);
  }

  /** With all of the time again after each byte that went or came. */
  #unlessStalled(stallMs: number): Until {
    const stream = this.#stream;
    const patience = new Patience(stallMs);
    let seen = stream.progress;
    return (look) =>
      stream.wake.until(() => {
        if (stream.progress !== seen) patience.renew();
        seen = stream.progress;
        return look();
      }, patience);
  }

  /** Why nothing more can be sent; null while it can. */
  #cannotSend(): Failure | null {
    return this.fault ?? (this.#halfClosed ? this.#stream.failure("ended", "half-closed") : null);
  }

  #corrupted(): Failure {
    return this.#stream.failure("corrupted", "", this.#stream.expected.wrong);
  }
}
