import type { LoopSettings } from "../engine/loop.ts";
import { type Address, inCidr, parseCidr } from "../net/address.ts";
import { type Endpoint, hostOf } from "../net/endpoint.ts";
import { LOCAL_HEADER } from "../net/proxy-header.ts";
import { CLOSED, cannotConnect, judgeAnswer, makeNonce, type ProbeFault, timedOut } from "./probe.ts";

/** What of the settings decides how a session must begin. */
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
  const { promise: verdict, resolve } = Promise.withResolvers<ProbeFault | null>();
  const timer = setTimeout(() => resolve(timedOut(timeoutMs)), timeoutMs);
  const nonce = makeNonce();
  const header = proxy.proxyProtocol === "require";
  const turnedAway = header && !isTrusted(endpoint.address, proxy.proxyTrusted) ? null : CLOSED;
  let answer = "";
  const connecting = Bun.connect({
    hostname: hostOf(endpoint),
    port: endpoint.port,
    socket: {
      open(socket) {
        if (header) socket.write(LOCAL_HEADER);
        socket.write(nonce);
      },
      data(_socket, chunk) {
        answer += chunk.toString("latin1");
        const outcome = judgeAnswer(answer, nonce);
        if (outcome !== undefined) resolve(outcome);
      },
      close: () => resolve(turnedAway),
      error: () => resolve(turnedAway),
      connectError: (_socket, error) => resolve(connectFault(error, turnedAway)),
    },
  });
  connecting.catch((error: unknown) => resolve(connectFault(error, turnedAway)));
  try {
    return await verdict;
  } finally {
    clearTimeout(timer);
    // Also when it opens only after the deadline.
    connecting.then((socket) => socket.end()).catch(() => {});
  }
}

/** A reset that is quicker than the notice of the connection looks like a failed connect, and is none. */
function connectFault(error: unknown, turnedAway: ProbeFault | null): ProbeFault | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return code === "ECONNRESET" ? turnedAway : cannotConnect(code);
}

/** Whether headers from this address are believed: the probe's own address is the one it dials, on loopback. */
function isTrusted(address: Address, trusted: readonly string[]): boolean {
  return trusted.length === 0 || trusted.some((cidr) => inCidr(parseCidr(cidr)!, address));
}
