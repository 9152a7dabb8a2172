import { expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { type Metrics, startServer } from "./harness.ts";
import { K8S } from "./k8s/render.ts";

/** Alerts and dashboard ask only for what the server really exposes: a misspelt name would be silent for ever. */

const rules = z.object({
  spec: z.object({
    groups: z.array(z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })),
  }),
});
const dashboard = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
});

async function expressions(): Promise<Map<string, string>> {
  const folder = join(K8S, "components/monitoring");
  const alerts = rules.parse(Bun.YAML.parse(await Bun.file(join(folder, "rules.yaml")).text()));
  const { panels } = dashboard.parse(await Bun.file(join(folder, "dashboard.json")).json());
  return new Map([
    ...alerts.spec.groups.flatMap((group) => group.rules.map(({ alert, expr }) => [alert, expr] as const)),
    ...panels.flatMap(({ title, targets }) =>
      targets.map(({ expr }, at) => [`${title} ${at}`, expr] as const),
    ),
  ]);
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
        samples.some((key) => key.includes(`${label}="${word}"`)),
      ),
    ) && samples.length > 0
  );
}

test("every metric and label of the alerts and the dashboard is one of the server's", async () => {
  await using server = await startServer();
  const metrics = await server.metrics();
  const asked = await expressions();
  expect(asked.size).toBeGreaterThan(20);
  for (const [what, expr] of asked) {
    const selectors = [...expr.matchAll(/\b((?:echo|process)_\w+)(?:\{([^}]*)\})?/g)];
    for (const [, name, matchers] of selectors) {
      expect({ what, name, matchers, exposed: matches(metrics, name!, matchers ?? "") }).toMatchObject({
        exposed: true,
      });
    }
  }
});

test("every counter is asked for by its rate or increase, and nothing else is", async () => {
  await using server = await startServer();
  const types = new Map(
    [...(await server.metrics()).text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [
      name!,
      type!,
    ]),
  );
  for (const [what, expr] of await expressions()) {
    for (const [, wrapper, name] of expr.matchAll(/(\w+)\(\s*((?:echo|process)_\w+)/g)) {
      const type = types.get(name!) ?? types.get(name!.replace(/_bucket$/, ""));
      const overTime = wrapper === "rate" || wrapper === "increase";
      expect({ what, name, overTime }).toEqual({
        what,
        name,
        overTime: type === "counter" || type === "histogram",
      });
    }
  }
});
