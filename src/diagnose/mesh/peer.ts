import { Failure } from "../../client/failure.ts";
import { wayTo } from "../../client/udp-flow.ts";
import { type Endpoint, endpointOf } from "../../net/endpoint.ts";
import { Identity } from "./identity.ts";
import type { PeerProbe, ProbeContext } from "./probe.ts";
import { phaseOf } from "./ring.ts";
import { PROBES, type ProbeName } from "./seen.ts";
import { TcpHeld } from "./tcp-held.ts";
import { TcpNew } from "./tcp-new.ts";
import { UdpHeld } from "./udp.ts";

/** Where a peer stands among those that a member asks. */
export interface Place {
  readonly own: string;
  /** From 0. */
  readonly at: number;
  readonly peers: number;
}

/** What is the same for all peers. */
export type PeerAccess = Pick<ProbeContext, "question" | "sockets" | "agenda" | "newKey" | "tell">;

interface Planned {
  readonly name: ProbeName;
  readonly probe: PeerProbe;
  /** When in the interval it is due; below 0 before that is known. */
  phase: number;
  /** When it was due last. */
  dueMs: number;
  cancel(): void;
}

/** One peer that is asked by all its probes, each at its moment of the interval. */
export class Peer {
  readonly #access: PeerAccess;
  readonly #plan: readonly Planned[];

  constructor(peer: string, access: PeerAccess) {
    this.#access = access;
    this.#plan = probesOf(peer, access).map(([name, probe]) => ({
      ...{ name, probe, phase: -1, dueMs: Number.NEGATIVE_INFINITY },
      cancel() {},
    }));
  }

  /** From now on it is asked at the moments of that place. */
  move({ own, at, peers }: Place): void {
    for (const planned of this.#plan) {
      const phase = phaseOf(own, at, peers, PROBES.indexOf(planned.name), PROBES.length);
      if (phase !== planned.phase) this.#replan(planned, phase);
    }
  }

  look(nowMs: number): void {
    for (const { probe } of this.#plan) probe.look(nowMs);
  }

  end(): void {
    for (const { probe, cancel } of this.#plan) {
      cancel();
      probe.end();
    }
  }

  /** Half an interval at least after the last one, by the plan before. */
  #replan(planned: Planned, phase: number): void {
    const { agenda, question } = this.#access;
    const { intervalMs } = question;
    planned.cancel();
    planned.phase = phase;
    const fromMs = Math.max(performance.now(), planned.dueMs + intervalMs / 2);
    planned.cancel = agenda.every(firstAfter(fromMs, phase, intervalMs), intervalMs, (nowMs) => {
      planned.dueMs = nowMs;
      planned.probe.due();
    });
  }
}

/**
 * The first moment of that phase from then on, by `performance.now()`. Intervals are counted from 1970, so that members
 * whose clocks agree count them alike; where they do not, phases are as good as drawn by lot.
 */
function firstAfter(fromMs: number, phase: number, intervalMs: number): number {
  const wallMs = fromMs + Date.now() - performance.now();
  const sinceMs = (((wallMs - phase * intervalMs) % intervalMs) + intervalMs) % intervalMs;
  return fromMs + (sinceMs === 0 ? 0 : intervalMs - sinceMs);
}

function probesOf(peer: string, access: PeerAccess): [ProbeName, PeerProbe][] {
  const { tcpPort, udpPort, banner, intervalMs, timeoutMs } = access.question;
  const identity = new Identity(banner, intervalMs, timeoutMs);
  const tcp = tcpPort === null ? null : endpointOf(peer, tcpPort);
  const udp = udpPort === null ? null : endpointOf(peer, udpPort);
  const context: ProbeContext = { ...access, peer, identity, ownEnd: ownEndOnce(tcp ?? udp, access) };
  const udpHeld = udp === null ? null : new UdpHeld(context, udp);
  const probes: [ProbeName, PeerProbe][] = [];
  if (tcp !== null) {
    const tcpHeld = new TcpHeld(context, tcp);
    // A server that leaves refuses newcomers, and would wait for what is held until its drain is over.
    const release = (): void => {
      tcpHeld.release();
      udpHeld?.release();
    };
    probes.push(["tcp-new", new TcpNew(context, tcp, release)], ["tcp-held", tcpHeld]);
  }
  if (udpHeld !== null) probes.push(["udp", udpHeld]);
  return probes;
}

/** Asks a socket that sends nothing where this machine would go there from, until it knows. */
function ownEndOnce(end: Endpoint | null, { sockets }: PeerAccess): () => Promise<Endpoint | null> {
  let own: Endpoint | null = null;
  return async () => {
    if (own !== null || end === null) return own;
    const way = await wayTo(end, {}, sockets.openUdp);
    own = way instanceof Failure ? null : way;
    return own;
  };
}
