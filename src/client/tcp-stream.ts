import { type Banner, BannerReader } from "../net/banner.ts";
import { type Endpoint, endpointOf, ownEndTo } from "../net/endpoint.ts";
import type { Connection, ConnectionEvents, Handshake, TcpInfo } from "./dial.ts";
import { Expected } from "./expected.ts";
import { Failure, type FailureCode, type Icmp, meaningOf } from "./failure.ts";
import { Wake } from "./wake.ts";

/** Bytes that nobody asked for yet are kept up to here; then reading stops until something is sent. */
const EARLY_BYTES_MAX = 1024 * 1024;

/** The kernel's round trip of a handshake and its time of a byte's arrival are of two clocks. */
const CLOCKS_MS = 1;

/**
 * The two ways of one TCP connection: what is to be sent waits here until the kernel takes it, and what comes is read
 * as a banner, if it is one, and then held against what was sent. `TcpSession` asks the questions.
 */
export class TcpStream {
  readonly target: Endpoint;
  local: Endpoint;
  connectMs = 0;
  firstByteMs: number | null = null;
  banner: Banner | null = null;
  /** When the latest byte came, by `performance.now()`. */
  lastByteAtMs = 0;
  /** Rises with all that the kernel takes or brings. */
  progress = 0;
  readonly expected = new Expected();
  /** Notified of each event. */
  readonly wake = new Wake();
  readonly #startMs = performance.now();
  readonly #closed = Promise.withResolvers<void>();
  #connectedAtMs = 0;
  #nothingCame = true;
  #socket: Connection | null = null;
  #reader: BannerReader | null = new BannerReader();
  #unsent: Uint8Array;
  #finDue = false;
  /** Reading stopped because nobody asked for what came. */
  #paused = false;
  /** Reading stopped because the owner said so. */
  #held = false;
  /** A write was refused: the other end has reset, and the socket's close does not always say so. */
  #broken = false;
  #ending: { readonly code: FailureCode; readonly detail: string; readonly icmp: Icmp | null } | null = null;
  #forgetSignal = (): void => {};

  /** @param preamble what is sent first and not echoed */
  constructor(target: Endpoint, preamble: Uint8Array) {
    this.target = target;
    this.local = { ...target, port: 0 };
    this.#unsent = preamble;
  }

  /** For the one who connects. */
  get events(): ConnectionEvents {
    return {
      connected: (socket, handshake) => this.#connected(socket, handshake),
      failed: ({ code, detail, icmp }) => this.over(code, detail, icmp),
      data: (bytes, atMs) => this.#take(bytes, atMs ?? performance.now()),
      writable: () => {
        this.#pump();
        this.wake.notify();
      },
      fin: () => this.over(this.#broken ? "reset" : "closed"),
      closed: (error) => {
        this.over(error === null ? (this.#broken ? "reset" : "closed") : meaningOf(error), error ?? "");
        this.#closed.resolve();
      },
    };
  }

  /** Whether there was a connection, though it may have ended. */
  get wasConnected(): boolean {
    return this.#socket !== null;
  }

  /** Whether it is known by now if there is a banner. */
  get greeted(): boolean {
    return this.#reader === null;
  }

  /** Why it ended; null while it has not. */
  get ended(): Failure | null {
    if (this.#ending === null) return null;
    const { code, detail, icmp } = this.#ending;
    return this.failure(code, detail, null, icmp);
  }

  /** What the kernel knows of the path; null where it does not say, and before there is a connection. */
  get info(): TcpInfo | null {
    return this.#socket?.info?.() ?? null;
  }

  /** A failure, with the payload bytes that came until now. */
  failure(
    code: FailureCode,
    detail = "",
    received: Uint8Array | null = null,
    icmp: Icmp | null = null,
  ): Failure {
    return new Failure(code, this.expected.total, detail, received, icmp);
  }

  /** Bytes that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#unsent.length;
  }

  /**
   * Sends a message whose echo is then due. It must not change until that has come.
   * @param whole called when it has, while `lastByteAtMs` is the time of its last byte
   */
  send(message: Uint8Array, whole?: () => void): void {
    this.expected.send(message, whole);
    this.#unsent = this.#unsent.length === 0 ? message : Buffer.concat([this.#unsent, message]);
    if (this.#paused && !this.#held) this.#socket?.resume();
    this.#paused = false;
    this.#pump();
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#held = true;
    this.#socket?.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#held = false;
    if (!this.#paused) this.#socket?.resume();
  }

  /** Sends a FIN after all that is to be sent; reading goes on. */
  shutdown(): void {
    this.#finDue = true;
    this.#pump();
  }

  /** It is over, for this reason if there was none before. */
  over(code: FailureCode, detail = "", icmp: Icmp | null = null): void {
    this.#ending ??= { code, detail, icmp };
    this.#forgetSignal();
    if (this.#socket === null) this.#closed.resolve();
    this.wake.notify();
  }

  /** Ends it by a FIN; resolves when it is closed, which takes `patienceMs` at most. */
  async end(patienceMs: number): Promise<void> {
    this.over("ended");
    this.#socket?.end();
    const timer = setTimeout(() => this.#socket?.terminate(), patienceMs);
    await this.#closed.promise;
    clearTimeout(timer);
  }

  /** Ends it by a reset; resolves when it is closed. */
  reset(code: "ended" | "aborted"): Promise<void> {
    this.over(code);
    this.#socket?.terminate();
    return this.#closed.promise;
  }

  /** Is reset when the signal says so. */
  heed(signal: AbortSignal): void {
    const abort = (): void => void this.reset("aborted");
    signal.addEventListener("abort", abort);
    this.#forgetSignal = () => signal.removeEventListener("abort", abort);
  }

  #connected(socket: Connection, handshake?: Handshake): void {
    if (this.#ending !== null) {
      socket.terminate(); // it was given up, and what was told of that came too late
      return;
    }
    const { fromMs, toMs } = handshake ?? { fromMs: this.#startMs, toMs: performance.now() };
    this.#connectedAtMs = toMs;
    this.connectMs = toMs - fromMs;
    this.#socket = socket;
    const local = endpointOf(socket.localAddress, socket.localPort);
    if (local !== null) this.local = ownEndTo(this.target, local.address, local.port);
    this.#pump();
    this.wake.notify();
  }

  /** Gives the kernel what it takes; the rest waits until the socket is writable. */
  #pump(): void {
    const socket = this.#socket;
    if (socket === null) return;
    while (this.#unsent.length > 0) {
      const taken = socket.write(this.#unsent);
      if (taken < 0) this.#break(socket);
      if (taken <= 0) return;
      this.#unsent = this.#unsent.subarray(taken);
      this.progress++;
    }
    if (this.#finDue) socket.shutdown();
    this.#finDue = false;
  }

  /** The close follows; of a socket that is paused Bun would not tell it. */
  #break(socket: Connection): void {
    if (this.#broken) return;
    this.#broken = true;
    socket.resume();
  }

  #take(bytes: Uint8Array, atMs: number): void {
    this.lastByteAtMs = atMs;
    if (this.#nothingCame) this.firstByteMs = this.#sinceConnected(atMs);
    this.#nothingCame = false;
    this.progress++;
    this.expected.take(this.#reader === null ? bytes : this.#afterBanner(this.#reader, bytes));
    if (this.expected.earlyBytes > EARLY_BYTES_MAX && !this.#paused) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.wake.notify();
  }

  /** Null where the byte was there before the connection was seen, by more than clocks disagree. */
  #sinceConnected(atMs: number): number | null {
    const ms = atMs - this.#connectedAtMs;
    return ms < -CLOCKS_MS ? null : Math.max(0, ms);
  }

  /** The bytes that are payload: none while what comes may still be a banner. */
  #afterBanner(reader: BannerReader, bytes: Uint8Array): Uint8Array {
    const beginning = reader.take(bytes);
    if (beginning === null) return new Uint8Array(0);
    this.#reader = null;
    this.banner = beginning.banner;
    return beginning.rest;
  }
}
