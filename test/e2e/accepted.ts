import { beforeAll, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { checkFleet } from "../k8s/policy.ts";
import {
  COMPONENTS,
  type KubernetesObject,
  OVERLAYS,
  type Overlay,
  optionalOn,
  parseObjects,
  type Renderer,
} from "../k8s/render.ts";
import { kubectl, NAMESPACE } from "./kubectl.ts";
import { run, say } from "./shell.ts";

export const CRDS = fileURLToPath(new URL("crds.yaml", import.meta.url));

/** Renders every combination, and has a real API server look at every object that comes of any of them. */
export function acceptedTests(renderer: () => Renderer): void {
  let objects: KubernetesObject[] = [];

  beforeAll(async () => {
    await kubectl(["apply", "-f", CRDS]);
    await kubectl(["wait", "--for=condition=Established", "-f", CRDS, "--timeout=30s"]);
  });

  test("every combination of components renders to a fleet that keeps the policy", async () => {
    const overlays = combinations();
    const distinct = new Map<string, KubernetesObject>();
    const next = overlays.values();
    const work = async (): Promise<void> => {
      for (const overlay of next) {
        const rendered = parseObjects(await renderer().yaml(overlay));
        checkFleet(rendered);
        for (const object of rendered) distinct.set(JSON.stringify(object), object);
      }
    };
    await Promise.all([work(), work()]); // both take from one iterator
    objects = [...distinct.values()];
    say(`${overlays.length} combinations render to ${objects.length} different objects`);
  });

  test("the API server accepts every object of every combination, without a warning", async () => {
    const [namespaces, others] = [true, false].map((is) =>
      objects.filter(({ kind }) => (kind === "Namespace") === is),
    );
    await kubectl(["apply", "-f", "-"], { stdin: JSON.stringify(namespaces![0]) }); // what is in it needs it
    try {
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: others });
      const dryRun = ["kubectl", "create", "--dry-run=server", "--validate=strict", "-f", "-"];
      const { stdout, stderr } = await run(dryRun, { stdin: list });
      expect(stderr).toBe("");
      expect(stdout.trim().split("\n")).toHaveLength(others!.length);
    } finally {
      await kubectl(["delete", "namespace", NAMESPACE]);
    }
  });
}

/** Every overlay alone and with each component, and every subset of the components on the one that has all else. */
function combinations(): Overlay[] {
  const some: Overlay[] = OVERLAYS.flatMap(({ path, has }) => [
    { path },
    ...COMPONENTS.filter((name) => !has.includes(name)).map((name) => ({ path, components: [name] })),
  ]);
  // Less those that are one setting, or Services, and no more.
  const simple: readonly string[] = ["banner-fields", "hairpin"];
  const optional = optionalOn("overlays/dev-nodeport").filter((name) => !simple.includes(name));
  for (let chosen = 0; chosen < 2 ** optional.length; chosen++) {
    const components = optional.filter((_, bit) => (chosen >> bit) % 2 === 1);
    if (components.length > 1) some.push({ path: "overlays/dev-nodeport", components });
  }
  return some;
}
