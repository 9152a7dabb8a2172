import type { Registry as RegistryType } from "prom-client";
import Registry from "prom-client/lib/registry.js";
import type { TimeBuckets } from "../../diagnose/mesh/buckets.ts";
import type { MeshKnowledge } from "../../diagnose/mesh/knowledge.ts";
import type { Named } from "../../diagnose/mesh/names.ts";
import type { Pair } from "../../diagnose/mesh/pair.ts";
import { GET_FAULTS } from "../http-answer-reader.ts";
import type { ConnectionCounts } from "../http-server.ts";
import type { Sample } from "../metric-table.ts";
import { adminRows, type LiveRow, register, registerProcess } from "../process-metrics.ts";
import { PairHistogram, type PairTimes } from "./histogram.ts";
import type { Members } from "./members.ts";

/** What a scrape of a prober tells of. */
export interface ProberFacts {
  readonly known: MeshKnowledge;
  readonly members: Pick<Members, "refused">;
  readonly connections: ConnectionCounts;
  logLinesLost(): number;
  readonly version: string;
}

const BETWEEN = ["from", "to", "from_node", "to_node"] as const;
const OF_A_PAIR = [...BETWEEN, "protocol"] as const;

/**
 * Every metric of a prober. At most 60 series, and 70 for each peer: two protocols' worth of what is below, of three
 * histograms of 19 series each. What only datagrams do (to come twice, or in another order) TCP has no series for.
 */
export function makeProberRegistry(facts: ProberFacts): RegistryType {
  const { known, connections, logLinesLost, version } = facts;
  const registry = new Registry();
  for (const row of pairRows(known)) register(registry, row, row.read);
  registry.registerMetric(
    new PairHistogram(
      "echo_mesh_rtt_seconds",
      "From sending to echo, in seconds; of TCP of new and held sessions together.",
      OF_A_PAIR,
      () => timesOf(known, ({ rtt }) => rtt),
    ),
  );
  registry.registerMetric(
    new PairHistogram(
      "echo_mesh_connect_seconds",
      "From the first SYN to the connection, in seconds.",
      OF_A_PAIR,
      () => timesOf(known, ({ connect }) => connect),
    ),
  );
  for (const row of [...meshRows(facts), ...adminRows(connections, logLinesLost)])
    register(registry, row, row.read);
  const build = { version, bun: Bun.version };
  const info = {
    type: "gauge",
    name: "echo_build_info",
    help: "Version and Bun version of this prober, as labels. Always 1.",
    labelNames: Object.keys(build),
  } as const;
  register(registry, info, () => [{ labels: build, value: 1 }]);
  registerProcess(registry);
  return registry;
}

/** What is known of each pair. */
function pairRows(known: MeshKnowledge): LiveRow[] {
  const ofPairs = (value: (pair: Pair) => number | null) => (): Sample[] =>
    pairsOf(known).flatMap(({ labels, pair }) => {
      const known = value(pair);
      return known === null ? [] : [{ labels, value: known }];
    });
  const ofUdp = (value: (pair: Pair) => number | null) =>
    ofPairs((pair) => (pair.protocol === "udp" ? value(pair) : null));
  const row = (type: LiveRow["type"], name: string, help: string, read: LiveRow["read"]): LiveRow => ({
    type,
    name,
    help,
    labelNames: OF_A_PAIR,
    read,
  });
  return [
    row(
      "gauge",
      "echo_mesh_up",
      "1 if the peer answers, 0 after two probes in a row without an answer; absent while that is unknown.",
      ofPairs(({ up }) => (up === null ? null : Number(up))),
    ),
    row(
      "counter",
      "echo_mesh_sent_total",
      "Echoes asked for.",
      ofPairs(({ totals }) => totals.sent),
    ),
    row(
      "counter",
      "echo_mesh_lost_total",
      "Echoes that did not come in time.",
      ofPairs(({ totals }) => totals.lost),
    ),
    row(
      "counter",
      "echo_mesh_corrupted_total",
      "Echoes that came with other bytes than were sent.",
      ofPairs(({ totals }) => totals.corrupted),
    ),
    row(
      "counter",
      "echo_mesh_duplicated_total",
      "Datagrams that came again.",
      ofUdp(({ totals }) => totals.duplicated),
    ),
    row(
      "counter",
      "echo_mesh_reordered_total",
      "Datagrams that overtook others.",
      ofUdp(({ totals }) => totals.reordered),
    ),
    row(
      "gauge",
      "echo_mesh_hops",
      "Routers on the way back, at least, from the TTL of the latest answer.",
      ofUdp(({ hops }) => hops),
    ),
  ];
}

/** What is known of the fleet. */
function meshRows({ known, members }: ProberFacts): LiveRow[] {
  const plain = (name: string, help: string, value: () => number): LiveRow => ({
    type: "gauge",
    name,
    help,
    labelNames: [],
    read: () => [{ labels: {}, value: value() }],
  });
  return [
    {
      type: "gauge",
      name: "echo_mesh_unknown",
      help: "1 if nothing is known of the member: assigned and not measured, or without an address; else 0. Of the prober itself: 1 while its own address is not known.",
      labelNames: BETWEEN,
      read: () => unknownSamples(known),
    },
    plain("echo_mesh_members", "Members with an address, this one included.", () => {
      return known.book.roster.addresses.length;
    }),
    plain("echo_mesh_peers", "Members that this one asks.", () => known.book.pairs.size),
    plain("echo_mesh_members_left_out", "Members left out, being more than --max-members.", () => {
      return known.book.roster.beyond;
    }),
    plain("echo_mesh_name_resolved", "1 if --name was resolved the last time, else 0.", () => {
      return known.book.roster.unresolved === null ? 1 : 0;
    }),
    {
      type: "counter",
      name: "echo_mesh_row_failures_total",
      help: "Times that a member's prober was asked for its row and gave none, by reason.",
      labelNames: ["reason"],
      read: () => GET_FAULTS.map((reason) => ({ labels: { reason }, value: members.refused[reason] })),
    },
  ];
}

/** Of each peer, of each member that must be there, and of this one, once. */
function unknownSamples(known: MeshKnowledge): Sample[] {
  const { book, names, settings } = known;
  const { own, named } = book.roster;
  const values = new Map<string, Sample>();
  const put = (to: Named, isUnknown: boolean): void => {
    const labels = labelsBetween(settings.self, to);
    values.set(to.name, { labels, value: isUnknown ? 1 : 0 });
  };
  for (const { address } of named) {
    const member = address === null ? undefined : names.byAddress.get(address);
    if (member !== undefined) put(member, false);
  }
  for (const [address, pairs] of book.pairs)
    put(
      names.byAddress.get(address)!,
      pairs.some(({ up }) => up === null),
    );
  for (const { name } of names.missing) put({ name, node: null }, true);
  put(settings.self, own === null);
  return [...values.values()];
}

function timesOf(known: MeshKnowledge, of: (pair: Pair) => TimeBuckets | null): PairTimes[] {
  return pairsOf(known).flatMap(({ labels, pair }) => {
    const times = of(pair);
    return times === null ? [] : [{ labels, times }];
  });
}

function pairsOf({ book, names, settings }: MeshKnowledge): { labels: Sample["labels"]; pair: Pair }[] {
  return [...book.pairs].flatMap(([address, pairs]) => {
    const labels = labelsBetween(settings.self, names.byAddress.get(address)!); // peers are of the roster
    return pairs.map((pair) => ({ labels: { ...labels, protocol: pair.protocol }, pair }));
  });
}

function labelsBetween(from: Named, to: Named): Sample["labels"] {
  return { from: from.name, to: to.name, from_node: from.node ?? "", to_node: to.node ?? "" };
}
