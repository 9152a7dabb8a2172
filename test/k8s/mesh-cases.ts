import {
  always,
  type Case,
  failsAt5,
  goesAt,
  LASTS,
  MINUTE,
  one,
  type Series,
  STEP,
  target,
} from "./series.ts";

/** What makes the alerts of the mesh fire, and what must not. */

const prober = (from: string): Record<string, string> => ({
  ...target(from, "mesh"),
  from,
  from_node: `on-${from}`,
});
const pairOf = (from: string, to: string, protocol = "udp"): Record<string, string> => ({
  ...prober(from),
  to,
  to_node: `on-${to}`,
  protocol,
});

const MEMBERS = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** `echo_mesh_up` of every pair, with what `values` has for it; null: no such series. */
const mesh = (values: (from: string, to: string, protocol: string) => string | null): Series[] =>
  MEMBERS.flatMap((from) =>
    MEMBERS.filter((to) => to !== from).flatMap((to) =>
      ["tcp", "udp"].flatMap((protocol) => {
        const text = values(from, to, protocol);
        return text === null
          ? []
          : [{ name: "echo_mesh_up", labels: pairOf(from, to, protocol), values: text }];
      }),
    ),
  );

/** Down for half a minute of every two, so at each look that is two minutes after another. */
const FLAPS = Array(15).fill("0x1 1x5").join(" ");

/** The Pods `b`, `c` and `d` are on one node. */
const onOneNode = (values: (from: string, to: string) => string): Series[] =>
  mesh(values).map(({ labels, ...rest }) =>
    ["c", "d"].includes(labels["to"]!)
      ? { ...rest, labels: { ...labels, to_node: "on-b" } }
      : { labels, ...rest },
  );

/** What one pair sent, one a second, and lost of it. */
const counted = (lostAStep: string, up = always): Series[] => [
  { name: "echo_mesh_up", labels: pairOf("a", "b"), values: up },
  { name: "echo_mesh_sent_total", labels: pairOf("a", "b"), values: `0+${STEP}x${LASTS}` },
  { name: "echo_mesh_lost_total", labels: pairOf("a", "b"), values: lostAStep },
];

const unknown = (from: string, to: string, values: string): Series => ({
  name: "echo_mesh_unknown",
  labels: { ...prober(from), to, to_node: "" },
  values,
});

/** The Pod `b` is replaced again and again: each of its names is down for its first and for its last 30 seconds. */
const ROLLING: Series[] = Array.from({ length: 20 }, (_, turn): Series => {
  const begins = turn * MINUTE;
  const before = begins === 0 ? "" : `_x${begins} `;
  return {
    name: "echo_mesh_up",
    labels: { ...pairOf("a", `b${turn}`), to_node: "on-b" },
    values: `${before}0x1 1x${MINUTE} 0x1 stale`,
  };
});

export const MESH_CASES: Readonly<Record<string, readonly Case[]>> = {
  EchoMeshNodeDown: [
    {
      what: "a node is dead: one alert a protocol, whoever asks",
      series: mesh((from, to) => (from === "b" ? goesAt(5) : to === "b" ? failsAt5("0") : always)),
      fires: { notYet: 6.5, by: 7.5, alerts: 2 },
    },
    {
      what: "one in eight does not reach it",
      series: mesh((from, to) => (from === "a" && to === "b" ? failsAt5("0") : always)),
      fires: null,
    },
    {
      what: "down for a minute",
      series: mesh((_from, to) => (to === "b" ? `1x20 0x${MINUTE} 1x${LASTS}` : always)),
      fires: null,
    },
  ],
  EchoMeshPodDown: [
    {
      what: "nobody reaches one of three on a node: one alert a protocol, whoever asks",
      series: onOneNode((_from, to) => (to === "b" ? failsAt5("0") : always)),
      fires: { notYet: 6.5, by: 7.5, alerts: 2 },
    },
    {
      what: "nobody reaches the node, which is another alert",
      series: onOneNode((_from, to) => ("bcd".includes(to) ? failsAt5("0") : always)),
      fires: null,
    },
    {
      what: "one in eight does not reach it",
      series: onOneNode((from, to) => (from === "a" && to === "b" ? failsAt5("0") : always)),
      fires: null,
    },
    {
      what: "it goes while it is down, and its name is not there any more",
      series: onOneNode((_from, to) => (to === "b" ? "1x20 0x6 stale" : always)),
      fires: null,
    },
  ],
  EchoMeshPairDown: [
    {
      what: "nobody reaches one Pod of a node, which is another alert: no others reach it",
      series: onOneNode((_from, to) => (to === "b" ? failsAt5("0") : always)),
      fires: null,
    },
    {
      what: "one pair, by UDP alone",
      series: mesh((from, to, protocol) =>
        from === "a" && to === "b" && protocol === "udp" ? failsAt5("0") : always,
      ),
      fires: { notYet: 6.5, by: 7.5 },
    },
    {
      what: "a node that reaches nobody: one alert a protocol",
      series: mesh((from) => (from === "a" ? failsAt5("0") : always)),
      fires: { notYet: 6.5, by: 7.5, alerts: 2 },
    },
    {
      what: "a node is dead, which is another alert",
      series: mesh((from, to) => (from === "b" ? goesAt(5) : to === "b" ? failsAt5("0") : always)),
      fires: null,
    },
    {
      what: "Pods that come and leave, one after another",
      series: [...mesh(() => always), ...ROLLING],
      fires: null,
    },
    {
      what: "down and up by turns, which is loss",
      series: mesh((from, to) => (from === "a" && to === "b" ? FLAPS : always)),
      fires: null,
    },
    {
      what: "a prober's Pod is gone with what it said last",
      series: mesh(() => "1x20 0x4 stale"),
      fires: null,
    },
  ],
  EchoMeshLoss: [
    { what: "one in fifteen", series: counted(`0+1x${LASTS}`), fires: { notYet: 9, by: 13 } },
    {
      what: "a pair that is down and up by turns",
      series: counted(`0+4x${LASTS}`, FLAPS),
      fires: { notYet: 9, by: 13 },
    },
    { what: "none", series: counted(`0x${LASTS}`), fires: null },
    { what: "one in three hundred", series: counted(`0x20 1x20 2x20 3x20 4x${LASTS}`), fires: null },
    { what: "a burst of thirty", series: counted(`0x20 30x${LASTS}`), fires: null },
    { what: "all, of a pair that is down", series: counted(`0+${STEP}x${LASTS}`, `0x${LASTS}`), fires: null },
    {
      what: "all, for a quarter of an hour, of a pair that is well again",
      series: counted(
        `0x20 ${STEP}+${STEP}x${15 * MINUTE - 1} ${15 * STEP * MINUTE}x${LASTS}`,
        `1x20 0x${15 * MINUTE} 1x${LASTS}`,
      ),
      fires: null,
    },
  ],
  EchoMeshUnknown: [
    {
      what: "a member without an address: one alert, whoever misses it",
      series: MEMBERS.map((from) => unknown(from, "server3", failsAt5("1"))),
      fires: { notYet: 14, by: 15.5 },
    },
    {
      what: "a member that is being replaced",
      series: MEMBERS.map((from) => unknown(from, "server3", `0x20 1x${2 * MINUTE} 0x${LASTS}`)),
      fires: null,
    },
  ],
  EchoMeshNameUnresolved: [
    {
      what: "a prober that never found anybody",
      series: one("echo_mesh_name_resolved", `0x${LASTS}`, { container: "mesh" }),
      fires: { notYet: 9, by: 10.5 },
    },
    {
      what: "the first seconds of a rollout",
      series: one("echo_mesh_name_resolved", `0x2 1x${LASTS}`, { container: "mesh" }),
      fires: null,
    },
  ],
  EchoMeshProberDown: [
    {
      what: "no answer",
      series: [{ name: "up", labels: target("server1-a", "mesh"), values: failsAt5("0") }],
      fires: { notYet: 9, by: 10.5 },
    },
    {
      what: "its server is down",
      series: [
        ...one("up", failsAt5("0")),
        { name: "up", labels: target("server1-a", "mesh"), values: always },
      ],
      fires: null,
    },
  ],
};
