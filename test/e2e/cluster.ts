import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PROJECT } from "../k8s/render.ts";
import { run, Stopwatch, say } from "./shell.ts";

/**
 * The cluster that is tested, and the images on it. One of the first two variables has to be set.
 *
 * | variable | meaning |
 * |---|---|
 * | `KUBECONFIG` | the cluster to use |
 * | `ECHO_E2E_CLUSTER` | else `up`, `load`, `status` and `down` in this folder bring one up, and take it down at the end |
 * | `ECHO_E2E_BUILD` | builds an image: `BUILD FOLDER TAG ARCHIVE`; without it docker does |
 * | `ECHO_E2E_LOAD` | puts an archive on the nodes of `KUBECONFIG`'s cluster: `LOAD ARCHIVE`, e.g. `kind load image-archive` |
 *
 * Paths are relative to the project. With `KUBECONFIG` alone the images `echo-server:dev` and `echo-server:next` must be
 * on the nodes already.
 */
export interface Cluster extends AsyncDisposable {
  /** The archives of `echo-server:dev` and `echo-server:next`, the same sources built twice; none if not built here. */
  readonly archives: readonly string[];
}

/** @throws with one line that says what is wanted when no variable names a cluster, or one names what is not there */
export async function openCluster(): Promise<Cluster> {
  const kubeconfig = variable("KUBECONFIG");
  if (kubeconfig !== undefined) return await namedCluster(kubeconfig);
  const folder = variable("ECHO_E2E_CLUSTER");
  if (folder !== undefined) return await ownCluster(resolve(PROJECT, folder));
  throw new Error(
    "no cluster: set KUBECONFIG to one (kind, k3d, ...), or ECHO_E2E_CLUSTER to a folder with up, load, status and down",
  );
}

/** An empty variable is one that is not set. */
function variable(name: string): string | undefined {
  return process.env[name] || undefined;
}

async function ownCluster(folder: string): Promise<Cluster> {
  if (!existsSync(join(folder, "up"))) throw new Error(`ECHO_E2E_CLUSTER: there is no ${join(folder, "up")}`);
  const before = await run([join(folder, "status")], { allowed: [0, 1] });
  const watch = new Stopwatch();
  const up = await run([join(folder, "up")]);
  process.env["KUBECONFIG"] = up.stdout.trim();
  say(`the cluster is up (${watch})`);
  const takeDown = async (): Promise<void> => {
    // What somebody else had up stays up.
    if (before.exitCode !== 0) await run([join(folder, "down")]);
    delete process.env["KUBECONFIG"];
  };
  try {
    return await withImages([join(folder, "load")], takeDown);
  } catch (error) {
    await takeDown();
    throw error;
  }
}

async function namedCluster(kubeconfig: string): Promise<Cluster> {
  const load = variable("ECHO_E2E_LOAD");
  if (load !== undefined) return await withImages(load.split(" "), async () => {});
  say(
    `using ${kubeconfig}; echo-server:dev and echo-server:next must be on its nodes (ECHO_E2E_LOAD is not set)`,
  );
  return { archives: [], [Symbol.asyncDispose]: async () => {} };
}

async function withImages(load: readonly string[], takeDown: () => Promise<void>): Promise<Cluster> {
  const scratch = await mkdtemp("/tmp/echo-e2e-");
  const archives: string[] = [];
  for (const tag of ["dev", "next"]) {
    const archive = join(scratch, `${tag}.tar`);
    const watch = new Stopwatch();
    await build(`echo-server:${tag}`, archive);
    const built = watch.toString();
    await run([...load, archive]);
    say(`echo-server:${tag} is built (${built}) and on the nodes (${watch})`);
    archives.push(archive);
  }
  return {
    archives,
    async [Symbol.asyncDispose]() {
      await takeDown();
      await rm(scratch, { recursive: true });
    },
  };
}

async function build(tag: string, archive: string): Promise<void> {
  const builder = variable("ECHO_E2E_BUILD");
  if (builder !== undefined) {
    await run([resolve(PROJECT, builder), PROJECT, tag, archive]);
    return;
  }
  await run(["docker", "build", "--no-cache", "-t", tag, PROJECT]);
  await run(["docker", "save", "-o", archive, tag]);
}
