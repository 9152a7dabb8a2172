import type { MeshResult } from "../diagnose/mesh/result.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { NamedPort } from "../options/kinds.ts";
import { cached } from "./cached.ts";
import { dialable } from "./dialable.ts";
import { httpGet, NoAnswer } from "./http-get.ts";
import { type MeshSource, NoMesh } from "./page-routes.ts";
import { readMesh } from "./said.ts";

/** The name that the prober's container goes by among the admin ports of a Pod. */
const PROBER = "mesh";

/** The whole matrix is gathered from all members, which takes 1.5 s at most. */
const ASK = { timeoutMs: 3000, bytesMax: 8 << 20 };

/** As the prober's own: who is down for two probes is to be seen within three intervals, here too. */
const FRESHNESS = { freshMs: 200, staleMs: 200 };

/** What this Pod's own prober says, handed on; null where the Pod has none. @param own where admin listens */
export function meshOfPod(ports: readonly NamedPort[], own: Endpoint): MeshSource | null {
  const prober = ports.find(({ name, port }) => name === PROBER && port !== own.port);
  if (prober === undefined) return null;
  const endpoint = { ...dialable(own), port: prober.port };
  const ask = async (path: string): Promise<MeshResult | NoMesh> => {
    const got = await httpGet(endpoint, path, ASK);
    if (got instanceof NoAnswer) return new NoMesh(`the prober of this Pod: ${got.why}`);
    if (got.status !== 200) return new NoMesh(`the prober of this Pod answered with status ${got.status}`);
    return readMesh(got.body) ?? new NoMesh("the prober of this Pod said something that is no mesh");
  };
  const row = cached(() => ask("/mesh.json"), FRESHNESS);
  const all = cached(() => ask("/mesh.json?scope=all"), FRESHNESS);
  return (scope) => (scope === "all" ? all() : row());
}
