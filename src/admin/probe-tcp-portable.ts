import { dialByBun } from "../client/bun/dial.ts";
import { Failure } from "../client/failure.ts";
import { TcpSession } from "../client/tcp-session.ts";
import type { LoopSettings } from "../engine/loop.ts";
import { type Address, inCidr, parseCidr } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { LOCAL_HEADER } from "../net/proxy-header.ts";
import { makeNonce, type ProbeFault, probeFault } from "./probe.ts";

/** Settings that decide how a session must begin. */
export type ProxySettings = Pick<LoopSettings, "proxyProtocol" | "proxyTrusted">;

/**
 * The probe where libc cannot be called, and a socket's end not be known before it connects: it opens a session like
 * any client, is counted and limited like one, sends a few bytes and waits for them. Null when they came back within
 * `timeoutMs`, else what went wrong. Under `--proxy-protocol require` it speaks as a proxy on its own behalf; where
 * loopback is not trusted with that, being accepted and then turned away is all the life that can be seen.
 */
export async function probeTcpPortably(
  endpoint: Endpoint,
  proxy: ProxySettings,
  timeoutMs: number,
): Promise<ProbeFault | null> {
  const header = proxy.proxyProtocol === "require";
  const failure = await ask(endpoint, header, timeoutMs);
  if (failure === null) return null;
  const turnedAway = failure.code === "closed" || failure.code === "reset";
  if (turnedAway && header && !isTrusted(endpoint.address, proxy.proxyTrusted)) return null;
  return probeFault(failure, timeoutMs);
}

async function ask(endpoint: Endpoint, header: boolean, timeoutMs: number): Promise<Failure | null> {
  const endMs = performance.now() + timeoutMs;
  const session = await TcpSession.open(endpoint, {
    connectTimeoutMs: timeoutMs,
    ...(header && { preamble: LOCAL_HEADER }),
    dial: dialByBun,
  });
  if (session instanceof Failure) return session;
  const echo = await session.echo(makeNonce(), endMs - performance.now());
  await session.end();
  return echo instanceof Failure ? echo : null;
}

/** Whether headers from this address are believed: the probe's own address is the one it dials, on loopback. */
function isTrusted(address: Address, trusted: readonly string[]): boolean {
  return trusted.length === 0 || trusted.some((cidr) => inCidr(parseCidr(cidr)!, address));
}
