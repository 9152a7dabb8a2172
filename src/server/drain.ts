import { FLUSH_MS } from "../engine/cut.ts";
import type { Loop } from "../engine/loop.ts";
import type { Logger } from "../log.ts";
import { COUNTER, sumColumn, TCP_CLOSES, type TcpClose } from "../state/counters.ts";
import { CONTROL, type SharedTables } from "../state/shared.ts";

const POLL_MS = 20;

/**
 * UDP has no end of a session that one could wait for: it counts as drained when nothing was sent back for so long. What
 * comes from newcomers, who are refused, holds nobody up.
 */
const UDP_QUIET_MS = 1000;

/** Loops end what they have cut by themselves, at their next tick after `FLUSH_MS`. */
const CUT_MS = FLUSH_MS + 500;

/**
 * Turns newcomers away and lets existing sessions finish, for at most `timeoutMs`; then cuts what is left. The log
 * says how many TCP sessions finished, how many were cut with all that they were owed and how many without, and how
 * many died with their loop or by a fault.
 */
export async function drain(
  loops: Pick<Loop, "drain" | "cut">,
  tables: SharedTables,
  timeoutMs: number,
  signal: string,
  log: Logger,
): Promise<void> {
  const control = new Int32Array(tables.control);
  const tcpActive = (): number => Atomics.load(control, CONTROL.tcpActive);
  const udpActive = (): number => Atomics.load(control, CONTROL.udpActive);
  const startMs = performance.now();

  Atomics.store(control, CONTROL.draining, 1); // readiness fails from here on, and rules refuse newcomers
  const closedBefore = tcpEndings(tables);
  const tcpSessions = tcpActive();
  const udpSessions = udpActive();
  log.info({ signal, tcpSessions, udpSessions, timeoutMs }, "draining");
  loops.drain();

  const udpQuiet = udpSessions === 0 ? () => true : quietFor(tables, UDP_QUIET_MS);
  await poll(timeoutMs, () => tcpActive() === 0 && udpQuiet());
  loops.cut();
  await poll(CUT_MS, () => tcpActive() === 0);
  const closed = tcpEndings(tables);
  const since = (reason: TcpClose): number => closed.get(reason)! - closedBefore.get(reason)!;
  const [cut, cutShort, died] = [since("cut"), since("cut_short"), since("worker_died") + since("fault")];
  const finished = tcpSessions - cut - cutShort - died;
  const seconds = Math.round(performance.now() - startMs) / 1000;
  log.info({ finished, cut, cutShort, died, udpSessions: udpActive(), seconds }, "drained");
}

/** TCP sessions ended so far, by how. */
function tcpEndings(tables: SharedTables): ReadonlyMap<TcpClose, number> {
  return new Map(TCP_CLOSES.map((how, at) => [how, sumColumn(tables.counters, COUNTER.tcpClosedBy + at)]));
}

/** Waits until the condition holds, for at most `timeoutMs`. */
async function poll(timeoutMs: number, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!holds() && performance.now() < endMs) await Bun.sleep(POLL_MS);
}

/** A condition that holds once no datagram was sent back for `quietMs`. */
function quietFor(tables: SharedTables, quietMs: number): () => boolean {
  let datagrams = -1;
  let sinceMs = 0;
  return () => {
    const now = performance.now();
    const sent = sumColumn(tables.counters, COUNTER.udpSentDatagrams);
    if (sent !== datagrams) {
      datagrams = sent;
      sinceMs = now;
    }
    return now - sinceMs >= quietMs;
  };
}
