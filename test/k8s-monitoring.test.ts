import { expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { makeConnectionCounts } from "../src/admin/http-server.ts";
import { makeProberRegistry } from "../src/admin/mesh/metrics.ts";
import { Metrics, startServer } from "./harness.ts";
import { K8S } from "./k8s/render.ts";
import { addresses, answerAll, at, knowledgeOf, rosterOf } from "./mesh/fixtures.ts";

/** Alerts and dashboard ask only for what a server or a prober really exposes: a misspelt name would be silent for ever. */

const rule = z.union([
  z.object({ alert: z.string(), expr: z.string() }),
  z.object({ record: z.string(), expr: z.string() }),
]);
const rules = z.object({ spec: z.object({ groups: z.array(z.object({ rules: z.array(rule) })) }) });
const dashboard = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
});

const FOLDER = join(K8S, "components/monitoring");

/** Alerts, and what is recorded for them. */
async function allRules(): Promise<z.infer<typeof rule>[]> {
  const { spec } = rules.parse(Bun.YAML.parse(await Bun.file(join(FOLDER, "rules.yaml")).text()));
  return spec.groups.flatMap((group) => group.rules);
}

async function expressions(): Promise<Map<string, string>> {
  const { panels } = dashboard.parse(await Bun.file(join(FOLDER, "dashboard.json")).json());
  return new Map([
    ...(await allRules()).map((each) => ["alert" in each ? each.alert : each.record, each.expr] as const),
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }, at) => [`${title} ${at}`, expr] as const),
    ),
  ]);
}

/** What a server and a prober expose, whose peers have all answered. */
async function exposed(): Promise<Metrics> {
  await using server = await startServer();
  const known = knowledgeOf();
  known.take({ roster: rosterOf({ addresses: addresses(3) }) }, at(0));
  answerAll(known, at(1));
  const prober = makeProberRegistry({
    ...{ known, connections: makeConnectionCounts(), version: "1.2.3" },
    members: { refused: { no_answer: 0, too_large: 0, malformed: 0 } },
    logLinesLost: () => 0,
  });
  return new Metrics(`${(await server.metrics()).text}\n${await prober.metrics()}`);
}

/** The samples, as `name{labels}`, that a selector of the expression could match; Prometheus adds other labels. */
function matches(metrics: Metrics, name: string, matchers: string): boolean {
  const wanted = [...matchers.matchAll(/(\w+)(=~|=)"([^"]*)"/g)].filter(
    ([, label]) => !["namespace", "pod", "container", "job"].includes(label!),
  );
  const samples = [...metrics.samples.keys()].filter((key) => key.startsWith(`${name}{`));
  return (
    wanted.every(([, label, operator, value]) =>
      // Of an alternative, each word must be there.
      (operator === "=~" ? value!.split("|") : [value!]).every((word) =>
        // A dashboard's variable may be anything.
        samples.some((key) => key.includes(word.startsWith("$") ? `${label}="` : `${label}="${word}"`)),
      ),
    ) && samples.length > 0
  );
}

test("every metric and label of the alerts and the dashboard is a server's, a prober's, or recorded", async () => {
  const metrics = await exposed();
  const asked = await expressions();
  const recorded = (await allRules()).flatMap((each) => ("record" in each ? each.record : []));
  expect(asked.size).toBeGreaterThan(40);
  for (const [what, expr] of asked) {
    const selectors = [...expr.matchAll(/\b((?:echo|process)_[\w:]+)(?:\{([^}]*)\})?/g)];
    for (const [, name, matchers] of selectors) {
      if (recorded.includes(name!)) continue;
      expect({ what, name, matchers, exposed: matches(metrics, name!, matchers ?? "") }).toMatchObject({
        exposed: true,
      });
    }
  }
});

test("every counter is asked for by its rate or increase, and nothing else is", async () => {
  const types = new Map(
    [...(await exposed()).text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]),
  );
  for (const [what, expr] of await expressions()) {
    for (const [, wrapper, name] of expr.matchAll(/(\w+)\(\s*((?:echo|process)_\w+)/g)) {
      const type = types.get(name!) ?? types.get(name!.replace(/_bucket$/, ""));
      if (wrapper === "max_over_time") continue; // of a gauge, at each look
      const overTime = wrapper === "rate" || wrapper === "increase";
      expect({ what, name, overTime }).toEqual({
        what,
        name,
        overTime: type === "counter" || type === "histogram",
      });
    }
  }
});
