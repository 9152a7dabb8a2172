import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MESH_CASES } from "./mesh-cases.ts";
import { check } from "./policy.ts";
import { K8S, Renderer } from "./render.ts";
import {
  always,
  type Case,
  FLEET,
  failsAt5,
  goesAt,
  LASTS,
  MINUTE,
  one,
  type Series,
  STEP,
  target,
  up,
} from "./series.ts";

/** Each alert with what makes it fire and what must not, by `promtool test rules`: Prometheus itself evaluates them. */

const CASES: Readonly<Record<string, readonly Case[]>> = {
  EchoServerDown: [
    { what: "no answer", series: one("up", `1x${5 * MINUTE - 1} 0x${LASTS}`), fires: { notYet: 6, by: 7.5 } },
    { what: "no answer for a minute", series: one("up", `1x20 0x${MINUTE} 1x${LASTS}`), fires: null },
    {
      what: "its prober's, which serves nobody",
      series: [{ name: "up", labels: target("server1-a", "mesh"), values: failsAt5("0") }],
      fires: null,
    },
  ],
  EchoServerAbsent: [
    {
      what: "all are gone, the pool is left",
      series: [...["server1-a", "server2-a"].flatMap((pod) => up(pod, goesAt(5))), ...up("pool-a", always)],
      fires: { notYet: 6, by: 7.5 },
    },
    { what: "one is left", series: [...up("server1-a", goesAt(5)), ...up("server2-a", always)], fires: null },
    {
      what: "another fleet is gone",
      series: [...up("server1-a", goesAt(5), "echo-one"), ...up("server1-a", always)],
      fires: null,
    },
  ],
  EchoServerMissing: [
    {
      what: "the Deployment server2 is deleted",
      series: [...up("server1-a", always), ...up("server2-a", goesAt(5)), ...up("server3-a", always)],
      fires: { notYet: 6, by: 7.5 },
    },
    {
      what: "a rolling change",
      series: [
        ...up("server1-a", always),
        ...up("server2-a", goesAt(5)),
        ...up("server2-b", `_x${5 * MINUTE + 2} ${always}`),
        ...up("server3-a", always),
      ],
      fires: null,
    },
    {
      what: "another fleet's server is gone",
      series: [
        ...["server1-a", "server2-a", "server3-a"].flatMap((pod) => up(pod, always)),
        ...up("server1-a", always, "echo-one"),
      ],
      fires: null,
    },
  ],
  EchoServerNotReady: [
    {
      what: "no echo",
      series: one("echo_ready", `1x${5 * MINUTE - 1} 0x${LASTS}`),
      fires: { notYet: 6, by: 7.5 },
    },
    { what: "a drain", series: one("echo_ready", "1x20 0x3 stale"), fires: null },
  ],
  EchoServerRestarts: [
    {
      what: "three starts",
      series: one("process_start_time_seconds", `100x${5 * MINUTE} 200x${5 * MINUTE} 300x${LASTS}`),
      fires: { notYet: 9, by: 11 },
    },
    { what: "two starts", series: one("process_start_time_seconds", `100x20 200x${LASTS}`), fires: null },
  ],
  EchoServerWorkerDied: [
    {
      what: "one died",
      series: one("echo_worker_restarts_total", `0x${5 * MINUTE} 1x${LASTS}`),
      fires: { notYet: 4, by: 6 },
    },
    { what: "none died", series: one("echo_worker_restarts_total", `0x${LASTS}`), fires: null },
  ],
  EchoServerRefuses: [
    {
      what: "at the cap",
      series: one("echo_refused_total", `0+1x${LASTS}`, { protocol: "tcp", reason: "max_sessions" }),
      fires: { notYet: 4, by: 6 },
    },
    {
      what: "a drain turns newcomers away",
      series: one("echo_refused_total", `0+1x${LASTS}`, { protocol: "tcp", reason: "draining" }),
      fires: null,
    },
  ],
  EchoServerLosesDatagrams: [
    {
      what: "echoes that cannot be sent",
      series: one("echo_dropped_datagrams_total", `0+1x${LASTS}`, { reason: "send_failed" }),
      fires: { notYet: 4, by: 6 },
    },
    {
      what: "the loop guard at work",
      series: one("echo_dropped_datagrams_total", `0+1x${LASTS}`, { reason: "blocked_source_port" }),
      fires: null,
    },
  ],
  EchoServerIsTheBottleneck: [
    { what: "late", series: one("echo_event_loop_lag_seconds", `0.2x${LASTS}`), fires: { notYet: 4, by: 6 } },
    {
      what: "late for a minute",
      series: one("echo_event_loop_lag_seconds", `0x20 0.2x${MINUTE} 0x${LASTS}`),
      fires: null,
    },
  ],
  EchoServerLoopGuard: [
    {
      what: "twenty a second",
      series: one("echo_dropped_datagrams_total", `0+${20 * STEP}x${LASTS}`, {
        reason: "blocked_source_port",
      }),
      fires: { notYet: 9, by: 14 },
    },
    {
      what: "one a second",
      series: one("echo_dropped_datagrams_total", `0+${STEP}x${LASTS}`, { reason: "blocked_source_port" }),
      fires: null,
    },
  ],
  ...MESH_CASES,
};

const ruleNames = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string().optional() })) })),
});

const dashboard = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
});

const ruleTexts = z.object({
  groups: z.array(
    z.looseObject({
      rules: z.array(z.looseObject({ annotations: z.record(z.string(), z.string()).optional() })),
    }),
  ),
});

export function alertTests(promtool: string): void {
  let folder: string;
  let rule: unknown;

  beforeAll(async () => {
    folder = await mkdtemp("/tmp/echo-alerts-");
    await using renderer = await Renderer.start();
    const overlay = { path: "overlays/dev", components: ["monitoring"], namespace: FLEET };
    const object = (await renderer.objects(overlay)).find(({ kind }) => kind === "PrometheusRule")!;
    rule = object.spec;
    const alerts = check(ruleNames, object).groups.flatMap((group) =>
      group.rules.flatMap(({ alert }) => alert ?? []),
    );
    expect(alerts.toSorted()).toEqual(Object.keys(CASES).toSorted());
    await Bun.write(join(folder, "rules.yaml"), JSON.stringify(rule));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const passes = async (tests: object): Promise<void> => {
    const file = join(folder, "case.yaml");
    await Bun.write(file, JSON.stringify(tests));
    const child = Bun.spawn([promtool, "test", "rules", file], { stdout: "pipe", stderr: "pipe" });
    const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect([await child.exited, ...said]).toEqual([0, expect.stringContaining("SUCCESS"), ""]);
  };

  for (const [alert, cases] of Object.entries(CASES)) {
    for (const each of cases) {
      test(`${alert} ${each.fires === null ? "is silent" : "fires"}: ${each.what}`, () =>
        passes(promtoolFile(alert, each)));
    }
  }

  test.each([
    ["on-b", "No udp to node on-b: 100% of pairs are down"],
    ["", "No udp to members whose node is not known: 100% of pairs are down"],
  ])("EchoMeshNodeDown says which node it is, or that nobody told (%p)", async (node, summary) => {
    const { groups } = ruleTexts.parse(rule);
    for (const { annotations } of groups.flatMap(({ rules }) => rules)) delete annotations?.["description"];
    await Bun.write(join(folder, "summaries.yaml"), JSON.stringify({ groups }));
    // An empty label is none.
    const labels = { namespace: FLEET, protocol: "udp", ...(node === "" ? {} : { to_node: node }) };
    await passes({
      rule_files: ["summaries.yaml"],
      evaluation_interval: `${STEP}s`,
      tests: [
        {
          interval: `${STEP}s`,
          input_series: promtoolSeries(one("echo_mesh_up", `0x${LASTS}`, { ...labels, to: "b" })),
          alert_rule_test: [
            {
              alertname: "EchoMeshNodeDown",
              eval_time: "10m",
              exp_alerts: [{ exp_labels: { ...labels, severity: "critical" }, exp_annotations: { summary } }],
            },
          ],
        },
      ],
    });
  });

  test("the dashboard's matrix has a round trip of who answers, and an empty cell, no NaN, of who does not", async () => {
    const { panels } = dashboard.parse(
      await Bun.file(join(K8S, "components/monitoring/dashboard.json")).json(),
    );
    const [expr, ...others] = panels
      .filter(({ title }) => title === "UDP: round trip from each to each")
      .flatMap(({ targets }) => targets.map((each) => each.expr));
    expect(others).toEqual([]);
    const pair = (to: string, counted: string): Series[] =>
      ["0.001", "+Inf"].flatMap((le) =>
        one("echo_mesh_rtt_seconds_bucket", counted, { from: "a", to, protocol: "udp", le }),
      );
    await passes({
      rule_files: [],
      tests: [
        {
          interval: `${STEP}s`,
          input_series: promtoolSeries([...pair("b", `0+${STEP}x${LASTS}`), ...pair("c", `7x${LASTS}`)]),
          promql_expr_test: [
            {
              expr: expr!.replaceAll("$namespace", FLEET).replaceAll("$pod", ".*"),
              eval_time: "10m",
              exp_samples: [{ labels: '{from="a", to="b"}', value: 0.0005 }],
            },
          ],
        },
      ],
    });
  });
}

function promtoolSeries(series: readonly Series[]): object[] {
  return series.map(({ name, labels, values }) => ({
    series: `${name}{${Object.entries(labels).map(([key, value]) => `${key}="${value}"`)}}`,
    values,
  }));
}

function promtoolFile(alert: string, { series, fires }: Case): object {
  const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"})`;
  const silent = (minutes: number): object => ({ expr, eval_time: `${minutes * 60}s`, exp_samples: [] });
  const firing = (minutes: number, alerts = 1): object => ({
    expr,
    eval_time: `${minutes * 60}s`,
    exp_samples: [{ labels: "{}", value: alerts }],
  });
  const asked =
    fires === null
      ? Array.from({ length: 29 }, (_, minute) => silent(minute + 1))
      : [silent(fires.notYet), firing(fires.by, fires.alerts)];
  return {
    rule_files: ["rules.yaml"],
    evaluation_interval: `${STEP}s`,
    tests: [
      {
        interval: `${STEP}s`,
        input_series: promtoolSeries(series),
        promql_expr_test: asked,
      },
    ],
  };
}
