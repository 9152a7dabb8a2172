import type { PodShape } from "./policy.ts";
import type { KubernetesObject } from "./render.ts";

/** With the mesh every server has a prober that is told to the page; without it none has. A server without one would be missed by nobody. */
export function checkProbers(objects: readonly KubernetesObject[], pods: readonly PodShape[]): void {
  const wanted = objects.some(({ kind, metadata }) => kind === "Service" && isMesh(metadata.labels));
  for (const { owner, spec } of pods.filter(
    ({ labels }) => labels["app.kubernetes.io/name"] === "echo-server",
  )) {
    const has = spec.containers.some(({ name }) => name === "mesh");
    if (has !== wanted) throw new Error(`${owner} has ${has ? "a" : "no"} prober`);
    const told = wanted ? ",mesh:$(MESH_ADMIN_PORT)" : "";
    for (const { name, env } of spec.containers.slice(0, 2)) {
      const ports = env.find((each) => each.name === "ECHO_POD_ADMIN_PORTS");
      if (
        ports === undefined ||
        !("value" in ports) ||
        ports.value !== `tcp:$(TCP_ADMIN_PORT),udp:$(UDP_ADMIN_PORT)${told}`
      ) {
        throw new Error(`${owner}: ECHO_POD_ADMIN_PORTS of ${name} is ${JSON.stringify(ports)}`);
      }
    }
  }
}

/** Whether labels are those of the Service that probers are found by. */
export const isMesh = (labels: KubernetesObject["metadata"]["labels"]): boolean =>
  labels?.["app.kubernetes.io/component"] === "mesh";
