import { hostname, networkInterfaces } from "node:os";
import type { BoundEndpoints, LoopSettings } from "../engine/loop.ts";
import { formatEndpoint } from "../net/endpoint.ts";
import type { Environment } from "../options/environment.ts";
import { C, sumColumn, TCP_REFUSALS, UDP_REFUSALS } from "../state/counters.ts";
import { type SharedTables, WORD } from "../state/shared.ts";
import { fleet } from "./fleet.ts";
import type { ProcessFacts } from "./metrics.ts";
import type { PageFacts, SessionFacts } from "./page.ts";

/** What admin tells about. */
export interface AdminFacts extends ProcessFacts {
  readonly tables: SharedTables;
  readonly bound: BoundEndpoints;
  readonly settings: LoopSettings;
  readonly place: Place;
}

/** Where this server stands in the cluster; undefined what nobody told. */
export interface Place {
  readonly pod: string | undefined;
  readonly node: string | undefined;
  readonly namespace: string | undefined;
}

/** Gathers what the page shows. */
export async function pageFacts(facts: AdminFacts, env: Environment): Promise<PageFacts> {
  const { KUBERNETES_SERVICE_HOST: inCluster } = env; // in every container of a Pod
  const draining = Atomics.load(new Int32Array(facts.tables.control), WORD.draining) === 1;
  const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return {
    identity: identity(facts),
    state: draining ? "draining" : "serving",
    addresses: { tcp: facts.bound.tcp.map(formatEndpoint), udp: facts.bound.udp.map(formatEndpoint) },
    sessions: sessions(facts),
    fleet: await fleet(inCluster !== undefined),
    own: interfaces.map(({ address }) => address),
  };
}

function identity(facts: AdminFacts): [string, string][] {
  const seconds = Math.floor(performance.now() / 1000);
  const { pod, node, namespace } = facts.place;
  const known: [string, string | undefined][] = [
    ["Name", pod ?? hostname()],
    ["Node", node],
    ["Namespace", namespace],
    ["Version", `${facts.version} (Bun ${Bun.version})`],
    ["Engine", `${facts.engine} (${facts.engineReason}), event loops: ${facts.tables.loops}`],
    ["Up for", `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min ${seconds % 60} s`],
  ];
  return known.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

function sessions({ tables, bound }: AdminFacts): SessionFacts[] {
  const sum = (first: number, length = 1): number => {
    let total = 0;
    for (let at = 0; at < length; at++) total += sumColumn(tables.counters, first + at);
    return total;
  };
  const tcp: SessionFacts = {
    protocol: "TCP",
    active: sum(C.tcpOpened) - sum(C.tcpClosed),
    opened: sum(C.tcpOpened),
    refused: sum(C.tcpRefused, TCP_REFUSALS.length),
    receivedBytes: sum(C.tcpReceivedBytes),
    sentBytes: sum(C.tcpSentBytes),
  };
  const udp: SessionFacts = {
    protocol: "UDP",
    active: sum(C.udpOpened) - sum(C.udpClosed),
    opened: sum(C.udpOpened),
    refused: sum(C.udpRefused, UDP_REFUSALS.length),
    receivedBytes: sum(C.udpReceivedBytes),
    sentBytes: sum(C.udpSentBytes),
  };
  return [...(bound.tcp.length > 0 ? [tcp] : []), ...(bound.udp.length > 0 ? [udp] : [])];
}
