import { afterAll, beforeAll, expect, test } from "bun:test";
import { z } from "zod";
import { check, checkFleet, namespaceOf, podsOf, service } from "./policy.ts";
import { COMPONENTS, type KubernetesObject, nameOf, type Overlay, optionalOn, Renderer } from "./render.ts";

/** Fleets side by side, and one fleet in layers: whatever is stated where, it is one fleet in one namespace. */

/** Of alerts, and of what is recorded for them. */
const rules = z.object({ groups: z.array(z.object({ rules: z.array(z.object({ expr: z.string() })) })) });
const dashboard = z.object({
  uid: z.string(),
  title: z.string(),
  templating: z.object({ list: z.array(z.object({ name: z.string(), query: z.string().or(z.object({})) })) }),
});

const names = (objects: readonly KubernetesObject[]): string[] =>
  objects.map((object) => nameOf(object).replace(/-[0-9a-z]{10}$/, "")).sort();

/** Whether what is said inside texts is said of that namespace: expressions of alerts, the dashboard and its place. */
function checkTexts(objects: readonly KubernetesObject[], namespace: string): void {
  for (const object of objects) {
    expect(JSON.stringify(object)).not.toContain("FLEET_NAMESPACE");
    if (object.kind === "PrometheusRule") {
      const expressions = check(rules, object).groups.flatMap((group) => group.rules.map(({ expr }) => expr));
      expect(expressions.length).toBeGreaterThan(5);
      for (const expr of expressions) expect(expr).toMatch(new RegExp(`[{]namespace="${namespace}"[,}]`));
    }
    if (object.metadata.name !== "echo-server-dashboard") continue;
    const { uid, title, templating } = dashboard.parse(JSON.parse(object.data!["echo-server.json"]!));
    expect([uid, title]).toEqual([namespace, `Echo server in ${namespace}`]);
    expect(templating.list.find(({ name }) => name === "namespace")).toMatchObject({ query: namespace });
    expect(object.metadata.annotations).toEqual({ "k8s-sidecar-target-directory": namespace });
  }
}

/** The ways to put a component, a setting and one or two namespaces into layers. */
function layerings(component: string): Overlay[] {
  const components = component === "" ? [] : [component];
  const settings = ["ECHO_TCP_PORT=2345"];
  const two = { namespace: "echo-two" };
  const path = "base";
  return [
    { path, components, settings, ...two },
    { path: { path, components, settings }, ...two },
    { path: { path, ...two }, components, settings },
    { path: { path: { path, ...two }, settings }, components },
    { path: { path: { path, ...two }, components }, settings },
    { path: { path: { path: { path, namespace: "echo-one" }, components }, settings }, ...two },
    { path: { path: { path, components, namespace: "echo-one" }, ...two }, settings },
  ];
}

/** By which names probers find members, and whom they miss. */
function checkProberNames(objects: readonly KubernetesObject[], mesh: string, headless: string): void {
  const probers = podsOf(objects).flatMap(({ spec }) =>
    spec.containers.filter(({ name }) => name === "mesh"),
  );
  expect(probers.length).toBeGreaterThan(0);
  for (const { env } of probers) {
    const value = (name: string): unknown => env.find((each) => each.name === name);
    expect(value("ECHO_MESH_NAME")).toEqual({ name: "ECHO_MESH_NAME", value: mesh });
    expect(value("HEADLESS_NAME")).toEqual({ name: "HEADLESS_NAME", value: headless });
    const members = ["server1", "server2", "server3"].map((name) => `${name}.$(HEADLESS_NAME)`).join(",");
    expect(value("ECHO_MESH_MEMBERS")).toEqual({ name: "ECHO_MESH_MEMBERS", value: members });
    // A variable is filled in with those that stand before it.
    const at = (name: string): number => env.findIndex((each) => each.name === name);
    expect(at("HEADLESS_NAME")).toBeLessThan(at("ECHO_MESH_MEMBERS"));
  }
}

let renderer: Renderer;

export function layerTests(): void {
  beforeAll(async () => {
    renderer = await Renderer.start();
  });

  afterAll(async () => {
    await renderer[Symbol.asyncDispose]();
  });

  namespaceTests();
  namesAndSettingsTests();
}

function namespaceTests(): void {
  test("base is objects of one namespace and no other; overlays/namespaced is dev without the Namespace", async () => {
    const base = await renderer.objects({ path: "base" });
    expect(base).toHaveLength(7);
    for (const { metadata } of base) expect(metadata.namespace).toBe("echo-server");
    const namespaced = await renderer.objects({ path: "overlays/namespaced" });
    const dev = await renderer.objects({ path: "overlays/dev" });
    expect(namespaced).toEqual(dev.filter(({ kind }) => kind !== "Namespace"));
  });

  test("no component but `namespace` brings an object of the cluster", async () => {
    const components = COMPONENTS.filter((name) => name !== "namespace");
    const objects = await renderer.objects({ path: "base", components });
    for (const { kind, metadata } of objects) {
      expect({ kind, namespace: metadata.namespace }).toEqual({ kind, namespace: "echo-server" });
    }
  });

  for (const component of ["", ...COMPONENTS]) {
    test(`one namespace, whatever layer states it, a setting and ${component || "no component"}`, async () => {
      const components = component === "" ? [] : [component];
      const expected = names(await renderer.objects({ path: "base", components }));
      for (const overlay of layerings(component)) {
        const objects = await renderer.objects(overlay);
        checkFleet(objects);
        expect(namespaceOf(objects)).toBe("echo-two");
        checkTexts(objects, "echo-two");
        const moved = (name: string): string => (name.startsWith("Namespace/") ? "Namespace/echo-two" : name);
        expect(names(objects)).toEqual(expected.map(moved));
        for (const { owner, spec } of podsOf(objects)) {
          if (owner === "Pod/echo-client1") continue;
          const ports = spec.containers.flatMap((each) => each.ports.map((port) => port.containerPort));
          expect(ports).toEqual([2345, 8080, 5678, 8081, ...(component === "mesh" ? [8082] : [])]);
        }
      }
    });
  }

  test("all components, each in a layer of its own above the namespace", async () => {
    let overlay: Overlay = { path: "base", namespace: "echo-one" };
    for (const component of COMPONENTS) overlay = { path: overlay, components: [component] };
    const objects = await renderer.objects({ path: overlay, namespace: "echo-two" });
    checkFleet(objects);
    expect(namespaceOf(objects)).toBe("echo-two");
    checkTexts(objects, "echo-two");
  });

  test("two fleets with every component have no object in common", async () => {
    const components = optionalOn("overlays/dev");
    const [one, two] = await Promise.all(
      ["echo-one", "echo-two"].map((namespace) =>
        renderer.objects({ path: "overlays/dev", components, namespace }),
      ),
    );
    const identity = (object: KubernetesObject): string => `${object.metadata.namespace} ${nameOf(object)}`;
    const taken = new Set(one!.map(identity));
    expect(two!.map(identity).filter((each) => taken.has(each))).toEqual([]);
    expect(two).toHaveLength(one!.length);
  });

  test("a layer whose namespace nobody has stated does not render", async () => {
    const folder = await renderer.written(
      JSON.stringify({
        resources: ["../../base/server1"],
        components: ["../../wiring/namespace"],
        configMapGenerator: [{ name: "echo-server", literals: ["ECHO_TCP_PORT=1234"] }],
      }),
    );
    await expect(renderer.built(folder)).rejects.toThrow("metadata.namespace");
  });
}

function namesAndSettingsTests(): void {
  test("a name's prefix and suffix reach the names that Pods are found by", async () => {
    for (const named of [
      { nameSuffix: "-b" },
      { namePrefix: "a-" },
      { namePrefix: "a-", nameSuffix: "-b" },
    ]) {
      const renamed = (name: string): string => `${named.namePrefix ?? ""}${name}${named.nameSuffix ?? ""}`;
      const path = { path: "overlays/dev", components: ["pool", "mesh"] };
      for (const overlay of [
        { path, ...named },
        {
          path: { path, ...named },
          components: ["dual-stack", "nodeport"],
          settings: ["ECHO_TCP_PORT=2345"],
        },
      ]) {
        const objects = await renderer.objects(overlay);
        checkFleet(objects);
        const services = objects
          .filter(({ kind }) => kind === "Service")
          .map(({ metadata }) => metadata.name);
        expect(services).toContain(renamed("headless"));
        const members = podsOf(objects).filter(({ spec }) => spec.subdomain !== undefined);
        expect(members.map(({ spec }) => `${spec.hostname}.${spec.subdomain}`)).toEqual(
          ["server1", "server2", "server3"].map((name) => `${name}.${renamed("headless")}`),
        );
        expect(services).toContain(renamed("mesh"));
        checkProberNames(objects, renamed("mesh"), renamed("headless"));
      }
    }
  });

  test("dual-stack changes Services and nothing that would roll a Pod", async () => {
    const others = optionalOn("overlays/dev").filter((name) => name !== "dual-stack");
    const plain = await renderer.objects({ path: "overlays/dev", components: others });
    for (const components of [
      ["dual-stack", ...others],
      [...others, "dual-stack"],
    ]) {
      const dual = await renderer.objects({ path: "overlays/dev", components });
      const rest = (objects: readonly KubernetesObject[]) => objects.filter(({ kind }) => kind !== "Service");
      expect(rest(dual)).toEqual(rest(plain));
      const policies = dual
        .filter(({ kind }) => kind === "Service")
        .map((object) => check(service, object).ipFamilyPolicy);
      expect(new Set(policies)).toEqual(new Set(["PreferDualStack"]));
    }
  });

  test("a setting that could do nothing does not render", async () => {
    for (const setting of [
      "ECHO_ADMIN_PORT=9000",
      "IP_FAMILY_POLICY=PreferDualStack",
      "ECHO_POD_ADMIN_PORTS=tcp:9000",
      "ECHO_MESH_ADMIN_PORT=9000",
      "ECHO_MESH_POD_ADMIN_PORTS=tcp:9000",
      "ECHO_MESH_NAME=headless",
      "ECHO_MESH_MEMBERS=server1.headless",
      "ECHO_MESH_TCP_PORT=2345",
      "ECHO_MESH_UDP_PORT=off",
    ]) {
      const overlay = { path: "overlays/dev", components: ["mesh"], settings: [setting] };
      await expect(renderer.objects(overlay)).rejects.toThrow(setting.split("=")[0]!);
    }
  });

  test("the number of servers that the alert goes by is a setting, and every-node's is its own", async () => {
    const asked = async (overlay: Overlay): Promise<string> => {
      const rule = (await renderer.objects(overlay)).find(({ kind }) => kind === "PrometheusRule")!;
      const expressions = check(rules, rule).groups.flatMap((group) => group.rules.map(({ expr }) => expr));
      return expressions.find((expr) => expr.includes("count by"))!.split(" < ")[1]!;
    };
    const path = "overlays/dev";
    expect(await asked({ path, components: ["monitoring"] })).toBe("3");
    expect(await asked({ path, components: ["monitoring"], settings: ["FLEET_SERVERS=4"] })).toBe("4");
    expect(await asked({ path, components: ["monitoring", "every-node"] })).toBe("1");
    expect(await asked({ path, components: ["every-node", "monitoring"] })).toBe("1");
  });
}
