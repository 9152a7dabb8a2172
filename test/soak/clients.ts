import { Failure } from "../../src/client/failure.ts";
import { makePayload, newRun, readPayload } from "../../src/client/payload.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { readBanner } from "../../src/net/banner.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";

/**
 * The clients of the soak run. Each does one thing to the server, checks every byte that comes back, and says what
 * went wrong; what a client does on purpose (a reset, leaving early) is not wrong.
 */

/** A running tally. `wrong` must stay empty. */
export interface Tally {
  sessions: number;
  echoedBytes: number;
  datagrams: number;
  lostDatagrams: number;
  readonly wrong: string[];
  /** Moments at which a loop was made to die (ms of `performance.now()`). */
  readonly deathsMs: number[];
  /** Sessions that a death ended or cost datagrams: no more than the server says died. */
  readonly died: { tcp: number; udp: number; datagrams: number };
}

/** From the order to die until the loop is gone and its successor serves. */
const DEATH_MS = 2000;

/** A connect, and a session in which no byte moves, have failed after so long. */
const PATIENCE_MS = 20_000;

/** What a burst of datagrams may take. */
const BURST_MS = 10_000;

const RUN = newRun();
let flows = 0;

/** Whether a loop died while this went on since `startMs`: then its session may have died with it. */
function deathSince(tally: Tally, startMs: number): boolean {
  return tally.deathsMs.some((atMs) => startMs < atMs + DEATH_MS);
}

/** How a TCP session behaves. */
export interface TcpPlan {
  readonly target: Endpoint;
  readonly bytes: number;
  /** Half-close at the start and read all; close when all is back; reset when half is, while the rest is on its way. */
  readonly ending: "half-close" | "close" | "reset";
  /** Wait before the first read: the server must hold back. */
  readonly stallMs: number;
}

/** One TCP session from banner to end. Resolves when it is over. Only a loop's death may end it early. */
export async function tcpSession(plan: TcpPlan, tally: Tally): Promise<void> {
  const startMs = performance.now();
  const wrong = (what: string): number => tally.wrong.push(`tcp ${plan.ending} ${plan.bytes} B: ${what}`);
  const session = await TcpSession.open(plan.target, { connectTimeoutMs: PATIENCE_MS });
  tally.sessions++;
  if (session instanceof Failure) {
    wrong(`no connection: ${session}`);
    return;
  }
  await using _ = session;
  const stalled = stall(session, plan.stallMs);
  const fault = await talk(session, plan);
  await stalled;
  tally.echoedBytes += session.echoedBytes;
  if (fault === null && session.echoedBytes > 0 && session.banner === null) wrong("no banner");
  if (fault === null) return;
  if (isEarlyEnd(fault) && deathSince(tally, startMs)) tally.died.tcp++;
  else wrong(`${fault}`);
}

async function stall(session: TcpSession, ms: number): Promise<void> {
  if (ms === 0) return;
  session.pause();
  await Bun.sleep(ms);
  session.resume();
}

/** Sends all and reads what the plan wants of it; why not, where it did not come. */
async function talk(session: TcpSession, { bytes, ending }: TcpPlan): Promise<Failure | null> {
  const message = makePayload({ run: RUN, flow: flows++ }, 0, bytes);
  if (ending === "half-close") return halfClose(session, message);
  const half = ending === "reset" ? bytes >> 1 : bytes;
  const echo = half === 0 ? null : await session.bulk(message.subarray(0, half), PATIENCE_MS);
  if (echo instanceof Failure) return echo;
  if (ending === "close") await session.end();
  else void session.bulk(message.subarray(half), PATIENCE_MS); // the reset cuts it
  return null;
}

async function halfClose(session: TcpSession, message: Uint8Array): Promise<Failure | null> {
  const result = await session.halfClose(message, PATIENCE_MS);
  if (result instanceof Failure) return result;
  if (result.tail === "whole" && result.endedBy === "fin") return null;
  return session.ended ?? new Failure("silent", result.bytes, "no FIN after the whole echo");
}

/** Whether the server ended the session, as a loop does that dies. */
function isEarlyEnd({ code }: Failure): boolean {
  return code === "reset" || code === "closed";
}

/** One UDP session: `count` datagrams in bursts of `burst`, each answered once, alike, and by nobody else's. */
export async function udpSession(
  target: Endpoint,
  count: number,
  burst: number,
  tally: Tally,
): Promise<void> {
  const opened = await UdpFlow.open(target, { connected: true });
  if (opened instanceof Failure) {
    tally.wrong.push(`udp: no socket: ${opened}`);
    return;
  }
  await using flow = opened;
  const datagrams = new Datagrams(flow);
  let died = false;
  for (let left = count; left > 0; left -= burst) {
    const startMs = performance.now();
    datagrams.send(Math.min(burst, left));
    await datagrams.receive(tally);
    const missing = datagrams.forget();
    if (deathSince(tally, startMs)) {
      datagrams.bannersDue++; // to the loop that takes the dead one's place it is a new session
      if (missing > 0) died = true;
      tally.died.datagrams += missing;
    } else {
      tally.lostDatagrams += missing; // a full kernel buffer may drop; nothing may come late as another's
    }
  }
  if (died) tally.died.udp++;
  tally.sessions++;
}

/** The datagrams of one session, of many sizes. */
class Datagrams {
  bannersDue = 1;
  readonly #flow: UdpFlow;
  readonly #key = { run: RUN, flow: flows++ };
  readonly #due = new Set<number>();
  #sent = 0;

  constructor(flow: UdpFlow) {
    this.#flow = flow;
  }

  send(count: number): void {
    for (const end = this.#sent + count; this.#sent < end; this.#sent++) {
      this.#due.add(this.#sent);
      this.#flow.send(makePayload(this.#key, this.#sent, this.#sizeOf(this.#sent)));
    }
  }

  /** Until all is back that is due, or its time is up. */
  async receive(tally: Tally): Promise<void> {
    for (const endMs = performance.now() + BURST_MS; this.#due.size > 0; ) {
      const came = await this.#flow.receive(endMs - performance.now());
      if (!(came instanceof Failure)) this.#take(came.bytes, tally);
      else if (came.code === "timeout") return; // else ICMP's: what was lost for it is missing at the end
    }
  }

  /** What is due now is not waited for any more; how many that are. */
  forget(): number {
    const { size } = this.#due;
    this.#due.clear();
    return size;
  }

  #take(bytes: Uint8Array, tally: Tally): void {
    const reading = readPayload(bytes, this.#key, this.#sent, (number) => this.#sizeOf(number));
    if (reading.kind === "own" && this.#due.delete(reading.number)) {
      tally.datagrams++;
      return;
    }
    if (readBanner(bytes) !== null && this.bannersDue-- > 0) return;
    const what = reading.kind === "own" ? "came twice or too late" : `are ${reading.kind}`;
    tally.wrong.push(`udp: ${bytes.length} bytes that ${what}`);
  }

  #sizeOf(number: number): number {
    return 8 + ((this.#key.flow + number * 37) % 1400);
  }
}
