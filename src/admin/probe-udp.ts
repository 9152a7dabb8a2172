import { Failure } from "../client/failure.ts";
import { askUdp } from "../client/udp-ask.ts";
import { UdpFlow } from "../client/udp-flow.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { takeBackUdpEnd, tellUdpEnd } from "../state/probe-end.ts";
import type { SharedTables } from "../state/shared.ts";
import { hasLibc } from "../sys/libc.ts";
import { makeNonce, type ProbeFault, probeFault } from "./probe.ts";

/** A datagram may be lost where a flood fills the server's buffer: it is sent again after so long. */
const RETRY_MS = 100;

/**
 * Echoes through the UDP front door from one socket, which is kept: a datagram that comes late to the server still
 * comes from an end that the loops know (`state/probe-end.ts`). It is bound to the address that it dials and to any
 * free port; Bun sets neither SO_REUSEADDR nor SO_REUSEPORT on it (on Linux; where libc cannot be called it is
 * not known, and the probe is a client like any other). It is connected, so an answer from a wrong address does not
 * count.
 */
export class UdpProbe {
  readonly #tables: SharedTables;
  readonly #endpoint: Endpoint;
  readonly #stop = new AbortController();
  #flow: UdpFlow | null = null;

  constructor(tables: SharedTables, endpoint: Endpoint) {
    this.#tables = tables;
    this.#endpoint = endpoint;
  }

  /** Null when a datagram came back within `timeoutMs`, else what went wrong. One question at a time. */
  async ask(timeoutMs: number): Promise<ProbeFault | null> {
    const endMs = performance.now() + timeoutMs;
    const flow = this.#flow ?? (await this.#open());
    if (flow instanceof Failure) return probeFault(flow, timeoutMs);
    this.#flow = flow;
    const echo = await askUdp(flow, makeNonce(), endMs - performance.now(), RETRY_MS);
    if (!(echo instanceof Failure)) return null;
    // What else was told meanwhile is of no account: ICMP errors, late answers to earlier questions.
    return probeFault(echo.code === "aborted" ? echo : new Failure("timeout"), timeoutMs);
  }

  /** Asks no more. Its end is taken back before it is anybody's. */
  close(): void {
    takeBackUdpEnd(this.#tables);
    this.#stop.abort();
  }

  #open(): Promise<UdpFlow | Failure> {
    const { address } = this.#endpoint;
    const { signal } = this.#stop;
    const tell = (port: number): void => {
      if (!signal.aborted) tellUdpEnd(this.#tables, address, port);
    };
    const source = hasLibc() ? { address, bound: tell } : { address };
    return UdpFlow.open(this.#endpoint, { connected: true, source, signal });
  }
}
