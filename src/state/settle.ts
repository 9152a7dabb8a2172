import { ClientTable } from "./clients.ts";
import { COUNTER, countersOf, observeDuration, TCP_CLOSES, UDP_CLOSES } from "./counters.ts";
import { settleSeen } from "./seen-clients.ts";
import { CONTROL, type SharedTables } from "./shared.ts";

/**
 * Books what a dead loop had not given back as ended, so that caps and counters are true again: the sessions it
 * held count as closed by `worker_died`, and its clients' places are free.
 * @param seconds how long the loop ran. A loop that ends in order books its sessions' lengths by itself; those of one
 *   that was torn away are known no better than this: none is longer.
 */
export function settleDeadLoop(tables: SharedTables, loop: number, seconds: number): void {
  const counters = countersOf(tables.counters, loop);
  const control = new Int32Array(tables.control);
  const tcp = counters[COUNTER.tcpOpened]! - counters[COUNTER.tcpClosed]!;
  counters[COUNTER.tcpClosed]! += tcp;
  counters[COUNTER.tcpClosedBy + TCP_CLOSES.indexOf("worker_died")]! += tcp;
  counters[COUNTER.tcpQueuedBytes] = 0;
  Atomics.sub(control, CONTROL.tcpActive, tcp);
  const udp = counters[COUNTER.udpOpened]! - counters[COUNTER.udpClosed]!;
  counters[COUNTER.udpClosed]! += udp;
  counters[COUNTER.udpClosedBy + UDP_CLOSES.indexOf("worker_died")]! += udp;
  Atomics.sub(control, CONTROL.udpActive, udp);
  for (let count = 0; count < tcp; count++) observeDuration(counters, COUNTER.tcpDuration, seconds);
  for (let count = 0; count < udp; count++) observeDuration(counters, COUNTER.udpDuration, seconds);
  if (tables.clients.byteLength > 0) new ClientTable(tables).forgetLoop(loop);
  if (tables.lastClients !== null) settleSeen(tables.lastClients, loop);
}
