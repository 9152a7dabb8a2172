import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { checkFleet, podsOf } from "./policy.ts";
import { K8S, type KubernetesObject, parseObjects, Renderer } from "./render.ts";

const containersOf = z.object({
  template: z.object({
    spec: z.object({
      containers: z.array(
        z.object({
          name: z.string(),
          env: z.array(z.object({ name: z.string(), value: z.string().optional() })),
        }),
      ),
    }),
  }),
});

/** The prober gets into every server's Pod, whichever layer brings what, or nothing is rendered. */

export function meshTests(): void {
  let renderer: Renderer;

  beforeAll(async () => {
    renderer = await Renderer.start();
  });

  afterAll(async () => {
    await renderer[Symbol.asyncDispose]();
  });

  /** Who runs what, as `pool mesh echo-server:dev`. */
  const images = (objects: readonly KubernetesObject[]): string[] =>
    podsOf(objects).flatMap(({ owner, spec }) =>
      spec.containers.map(({ name, image }) => `${owner.split("/")[1]} ${name} ${image}`),
    );
  const workloads = { pool: ["pool", "server1", "server2", "server3"], "every-node": ["every-node"] };

  for (const other of ["pool", "every-node"] as const) {
    test(`the mesh and ${other}, whichever comes first, in one layer or in two: a prober in every server's Pod`, async () => {
      const path = "base";
      const expected = await renderer.objects({ path, components: ["mesh", other] });
      checkFleet(expected);
      expect(podsOf(expected).map(({ owner }) => owner.split("/")[1])).toEqual(workloads[other]);
      for (const overlay of [
        { path, components: [other, "mesh"] },
        { path: { path, components: ["mesh"] }, components: [other] },
        { path: { path, components: [other] }, components: ["mesh"] },
      ]) {
        expect(await renderer.objects(overlay)).toEqual(expected);
      }
    });
  }

  test("without the mesh nothing of it is left in a Pod or on what makes it", async () => {
    const objects = await renderer.objects({ path: "overlays/dev", components: ["pool"] });
    for (const { kind, metadata } of objects.filter(({ kind }) => kind === "Deployment")) {
      expect([kind, metadata.annotations]).toEqual(["Deployment", undefined]);
    }
    expect(podsOf(objects).flatMap(({ spec }) => spec.containers.map(({ name }) => name))).not.toContain(
      "mesh",
    );
  });

  test("what a layer has made of a prober stands, whatever a layer above brings in", async () => {
    const below = { path: "base", components: ["mesh"], tag: "1.2.3" };
    const objects = await renderer.objects({ path: below, components: ["pool"] });
    for (const container of ["tcp", "udp", "mesh"]) {
      expect(images(objects)).toContain(`server1 ${container} echo-server:1.2.3`);
      expect(images(objects)).toContain(`pool ${container} echo-server:dev`);
    }
  });

  test("a fleet without UDP, as the documentation has it", async () => {
    const text = await Bun.file(join(K8S, "README.md")).text();
    const [patch] = /^ {4}patches:\n {6}- target: \{kind: Deployment\|DaemonSet\}\n(?: {8}.*\n)+/m.exec(
      text,
    )!;
    const head = "resources: [../../base]\ncomponents: [../../components/pool, ../../components/mesh]\n";
    const folder = await renderer.written(head + patch.replaceAll(/^ {4}/gm, ""));
    const deployments = parseObjects(await renderer.built(folder)).filter(
      ({ kind }) => kind === "Deployment",
    );
    expect(deployments).toHaveLength(4);
    for (const { spec } of deployments) {
      const [tcp, mesh, ...others] = containersOf.parse(spec).template.spec.containers;
      expect([tcp?.name, mesh?.name, others]).toEqual(["tcp", "mesh", []]);
      expect(tcp?.env).toContainEqual({
        name: "ECHO_POD_ADMIN_PORTS",
        value: "tcp:$(TCP_ADMIN_PORT),mesh:$(MESH_ADMIN_PORT)",
      });
      expect(mesh?.env).toContainEqual({
        name: "ECHO_MESH_POD_ADMIN_PORTS",
        value: "tcp:$(TCP_ADMIN_PORT),mesh:$(MESH_ADMIN_PORT)",
      });
      expect(mesh?.env.filter(({ name }) => name === "ECHO_MESH_UDP_PORT")).toEqual([
        { name: "ECHO_MESH_UDP_PORT", value: "off" },
      ]);
    }
  });

  test("a Pod that the prober cannot be put into does not render", async () => {
    const folder = await renderer.written(
      JSON.stringify({
        resources: ["../../base"],
        patches: [
          {
            target: { kind: "Deployment" },
            patch: JSON.stringify([{ op: "remove", path: "/spec/template/spec/containers/1" }]),
          },
        ],
      }),
    );
    const above = await renderer.written(
      JSON.stringify({
        resources: [`../${folder.split("/").at(-1)}`],
        components: ["../../components/mesh"],
      }),
    );
    await expect(renderer.built(above)).rejects.toThrow("containers/1");
  });
}
