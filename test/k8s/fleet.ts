import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { MESH_OPTIONS } from "../../src/commands/mesh.ts";
import { FLUSH_MS } from "../../src/engine/cut.ts";
import { unknownVariables } from "../../src/options/environment.ts";
import type { Table } from "../../src/options/table.ts";
import { SERVE_OPTIONS } from "../../src/server/options.ts";
import { check, checkFleet, namespaceOf, podsOf, service } from "./policy.ts";
import {
  COMPONENTS,
  K8S,
  type KubernetesObject,
  nameOf,
  OVERLAYS,
  type Overlay,
  optionalOn,
  PROJECT,
  Renderer,
} from "./render.ts";

/** The fleet's YAML without a cluster: it renders, and what it renders to is what the policy and the contract want. */

const find = (objects: readonly KubernetesObject[], name: string): KubernetesObject => {
  const found = objects.find((object) => nameOf(object) === name);
  if (found === undefined) throw new Error(`no ${name} among ${objects.map(nameOf).join(", ")}`);
  return found;
};

/** By container. */
const ARGUMENTS: Readonly<Record<string, readonly string[]>> = {
  tcp: ["serve", "--udp-port=off"],
  udp: ["serve", "--tcp-port=off"],
  mesh: ["mesh"],
};
const TABLES: Readonly<Record<string, Table>> = {
  tcp: SERVE_OPTIONS,
  udp: SERVE_OPTIONS,
  mesh: MESH_OPTIONS,
};

/** The name of the settings' ConfigMap, which ends in a hash. */
const isSettings = (name: string): boolean => /^echo-server-[0-9a-z]{10}$/.test(name);

let renderer: Renderer;

export function fleetTests(): void {
  beforeAll(async () => {
    renderer = await Renderer.start();
  });

  afterAll(async () => {
    await renderer[Symbol.asyncDispose]();
  });

  wholeFleetTests();
  settingTests();
  podTests();
}

function wholeFleetTests(): void {
  describe("the policy holds for", () => {
    // Every combination of these is the business of the end-to-end tests.
    for (const { path } of OVERLAYS) {
      test(path, async () => {
        checkFleet(await renderer.objects({ path }));
      });
    }
    for (const component of optionalOn("overlays/dev")) {
      test(`overlays/dev with ${component}`, async () => {
        checkFleet(await renderer.objects({ path: "overlays/dev", components: [component] }));
      });
    }
  });

  test("all components together, in any order, make the same fleet", async () => {
    const path = "base";
    const forwards = await renderer.yaml({ path, components: COMPONENTS });
    const backwards = await renderer.yaml({ path, components: COMPONENTS.toReversed() });
    const turned = await renderer.yaml({
      path,
      components: [...COMPONENTS.slice(4), ...COMPONENTS.slice(0, 4)],
    });
    expect(backwards).toBe(forwards);
    expect(turned).toBe(forwards);
    checkFleet(await renderer.objects({ path, components: COMPONENTS }));
  });

  test("the contract's names", async () => {
    const objects = await renderer.objects({ path: "overlays/dev-nodeport" });
    expect(
      objects
        .map(nameOf)
        .filter((name) => !name.startsWith("ConfigMap/"))
        .sort(),
    ).toEqual([
      "Deployment/server1",
      "Deployment/server2",
      "Deployment/server3",
      "Namespace/echo-server",
      "Pod/echo-client1",
      "PodDisruptionBudget/echo-server",
      "Service/echo-server",
      "Service/echo-server-nodeport",
      "Service/headless",
    ]);
    const servers = podsOf(objects).filter(({ owner }) => owner.startsWith("Deployment/"));
    expect(servers.map(({ spec }) => `${spec.hostname}.${spec.subdomain}`)).toEqual([
      "server1.headless",
      "server2.headless",
      "server3.headless",
    ]);
    for (const { spec } of servers) {
      expect(spec.containers.map(({ name, image }) => `${name} ${image}`)).toEqual([
        "tcp echo-server:dev",
        "udp echo-server:dev",
      ]);
    }
    expect(namespaceOf(objects)).toBe("echo-server");
    const nodePort = check(service, find(objects, "Service/echo-server-nodeport"));
    expect(nodePort).toMatchObject({
      type: "NodePort",
      externalTrafficPolicy: "Local",
      ports: [
        { name: "tcp", port: 1234, nodePort: 31234, protocol: "TCP" },
        { name: "udp", port: 5678, nodePort: 31678, protocol: "UDP" },
      ],
    });
    expect(check(service, find(objects, "Service/headless")).clusterIP).toBe("None");
    expect(check(service, find(objects, "Service/echo-server")).clusterIP).toBeUndefined();
  });

  test("every folder that the documentation names is there", async () => {
    const text = await Bun.file(join(PROJECT, "k8s/README.md")).text();
    const named = [...text.matchAll(/`(components\/[\w-]+|overlays\/[\w-]+)`/g)].map(([, path]) => path!);
    const there = [
      ...COMPONENTS.map((name) => `components/${name}`),
      ...OVERLAYS.slice(1).map(({ path }) => path),
    ];
    expect([...new Set(named)].filter((path) => !path.startsWith("overlays/load")).sort()).toEqual(
      there.sort(),
    );
  });
}

function settingTests(): void {
  test("one setting changes a port everywhere", async () => {
    const settings = [
      "ECHO_TCP_PORT=2345",
      "ECHO_UDP_PORT=6789",
      "TCP_ADMIN_PORT=9080",
      "UDP_ADMIN_PORT=9081",
      "MESH_ADMIN_PORT=9082",
    ];
    for (const replaced of [[], ["every-node"]]) {
      const components = ["nodeport", "loadbalancer", "monitoring", "pool", "mesh", ...replaced];
      const overlay = { path: "overlays/dev", components, settings };
      checkFleet(await renderer.objects(overlay));
      expect(await renderer.yaml(overlay)).not.toMatch(/(?<=[^\w.])(1234|5678|8080|8081|8082)(?!\w)/);
      for (const { spec, owner } of podsOf(await renderer.objects(overlay))) {
        if (owner === "Pod/echo-client1") continue;
        const ports = spec.containers.flatMap((each) => each.ports.map((port) => port.containerPort));
        expect(ports).toEqual([2345, 9080, 6789, 9081, 9082]);
      }
    }
  });

  test("the loop guard's list is the server's own default, and with nodeport that port behind it", async () => {
    const own = SERVE_OPTIONS.rows.udpBlockedSourcePorts.default!;
    const blocked = async (overlay: Overlay): Promise<string> => {
      const objects = await renderer.objects(overlay);
      const list = objects.find(({ kind, metadata }) => kind === "ConfigMap" && isSettings(metadata.name))!
        .data!["ECHO_UDP_BLOCKED_SOURCE_PORTS"]!;
      expect(SERVE_OPTIONS.rows.udpBlockedSourcePorts.kind.parse(list)).toBeDefined();
      return list;
    };
    expect(await blocked({ path: "base" })).toBe(own);
    expect(await blocked({ path: "overlays/dev", components: ["pool", "loadbalancer"] })).toBe(own);
    for (const overlay of [
      { path: "overlays/nodeport" },
      { path: "overlays/dev-nodeport" },
      { path: "base", components: COMPONENTS },
    ]) {
      expect(await blocked(overlay)).toBe(`${own},31678`);
    }
    const set = { path: "overlays/dev", components: ["nodeport"], settings: ["UDP_NODE_PORT=32678"] };
    expect(await blocked(set)).toBe(`${own},32678`);
    const settings = ["ECHO_UDP_BLOCKED_SOURCE_PORTS=7,53"];
    expect(await blocked({ path: "base", components: ["nodeport"], settings })).toBe("7,53,31678");
  });

  test("a NodePort is one setting: the Service and the loop guard's list follow it", async () => {
    const settings = ["TCP_NODE_PORT=32234", "UDP_NODE_PORT=32678"];
    for (const overlay of [
      { path: "overlays/dev", components: ["nodeport"], settings },
      // On top of one that has the component already.
      { path: "overlays/dev-nodeport", components: ["../wiring/nodeport"], settings },
    ]) {
      const objects = await renderer.objects(overlay);
      expect(check(service, find(objects, "Service/echo-server-nodeport")).ports).toMatchObject([
        { name: "tcp", nodePort: 32234 },
        { name: "udp", nodePort: 32678 },
      ]);
      const { data } = objects.find(({ kind }) => kind === "ConfigMap")!;
      expect(data!["ECHO_UDP_BLOCKED_SOURCE_PORTS"]!.split(",")).toContain("32678");
    }
  });

  test("the TCP port can be one line of an overlay's own file", async () => {
    // As the documentation has it, and as often as one likes.
    const readme = await Bun.file(join(PROJECT, "docs/fleet.md")).text();
    const line = /^\$ (echo ECHO_TCP_PORT=2345 >+k8s\/overlays\/dev\/settings\.env)/m.exec(readme)![1]!;
    for (const path of ["overlays/dev", "overlays/nodeport"]) {
      await using other = await Renderer.start();
      for (const command of [line, line]) {
        const there = command.replace("k8s/overlays/dev", join(other.root, path));
        await Bun.$`sh -c ${there}`.quiet();
        const yaml = await other.yaml({ path });
        expect(yaml).toContain("containerPort: 2345");
        expect(yaml).not.toMatch(/(?<=[^\w.])1234(?!\w)/);
      }
    }
  });
}

function podTests(): void {
  test("the image is named once, and an overlay renames it everywhere", async () => {
    const files = await Array.fromAsync(new Bun.Glob("**/*.yaml").scan(K8S));
    const texts = await Promise.all(files.map((file) => Bun.file(join(K8S, file)).text()));
    expect(texts.join("\n").match(/newTag:/g)).toHaveLength(1);
    const objects = await renderer.objects({ path: "overlays/dev", components: ["pool"], tag: "1.2.3" });
    const servers = podsOf(objects).filter(({ owner }) => owner !== "Pod/echo-client1");
    const images = new Set(servers.flatMap(({ spec }) => spec.containers.map(({ image }) => image)));
    expect([...images]).toEqual(["echo-server:1.2.3"]);
  });

  test("each container speaks one protocol or asks by both, and knows every variable it gets", async () => {
    for (const component of ["pool", "every-node", "proxy-protocol", "mesh"]) {
      const objects = await renderer.objects({ path: "base", components: [component] });
      const settings = objects.find(({ kind }) => kind === "ConfigMap")!.data!;
      for (const { spec } of podsOf(objects)) {
        for (const each of spec.containers) {
          const own = Object.fromEntries(each.env.map(({ name }) => [name, "set"]));
          expect(unknownVariables({ ...settings, ...own }, TABLES[each.name]!)).toEqual([]);
          expect(each.args).toEqual([...ARGUMENTS[each.name]!]);
          expect(each.envFrom).toEqual([
            { configMapRef: { name: expect.stringMatching(/^echo-server-\w+$/) } },
          ]);
        }
      }
    }
  });

  test("a Pod's grace period is longer than its pause, its drain and its last flush together", async () => {
    const { drainTimeoutMs } = SERVE_OPTIONS.rows;
    const drainSeconds = drainTimeoutMs.kind.parse(drainTimeoutMs.default!)! / 1000;
    const cutSeconds = FLUSH_MS / 1000; // in which cut sessions get what they are owed
    for (const component of ["pool", "every-node", "mesh"]) {
      for (const { owner, spec } of podsOf(
        await renderer.objects({ path: "base", components: [component] }),
      )) {
        for (const each of spec.containers) {
          const { seconds } = each.lifecycle!.preStop.sleep;
          const needed = seconds + drainSeconds + cutSeconds;
          expect({ owner, enough: spec.terminationGracePeriodSeconds > needed }).toEqual({
            owner,
            enough: true,
          });
        }
      }
    }
  });

  test("the namespace enforces the restricted standard", async () => {
    const namespace = find(await renderer.objects({ path: "overlays/dev" }), "Namespace/echo-server");
    expect(namespace.metadata.labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "restricted" });
  });
}
