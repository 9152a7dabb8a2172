import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PROJECT } from "../k8s/render.ts";
import { run, Stopwatch, say } from "./shell.ts";

/**
 * The cluster that is tested, and the images on it.
 *
 * | variable | meaning |
 * |---|---|
 * | `KUBECONFIG` | the cluster to use; without it one is brought up, and taken down at the end |
 * | `ECHO_E2E_CLUSTER` | the folder with `up`, `load`, `status` and `down` of that one; `../shared/cluster` |
 * | `ECHO_E2E_BUILD` | builds an image: `BUILD FOLDER TAG ARCHIVE`; `../shared/images/build`, else docker |
 * | `ECHO_E2E_LOAD` | puts an archive on the nodes of `KUBECONFIG`'s cluster: `LOAD ARCHIVE`, e.g. `kind load image-archive` |
 *
 * With `KUBECONFIG` alone the images `echo-server:dev` and `echo-server:next` must be on the nodes already.
 */
export interface Cluster extends AsyncDisposable {
  /** The archives of `echo-server:dev` and `echo-server:next`, the same sources built twice; none if not built here. */
  readonly archives: readonly string[];
}

export async function openCluster(): Promise<Cluster> {
  const named = process.env["KUBECONFIG"];
  return named === undefined || named === "" ? await ownCluster() : await namedCluster(named);
}

async function ownCluster(): Promise<Cluster> {
  const folder = resolve(PROJECT, process.env["ECHO_E2E_CLUSTER"] ?? "../shared/cluster");
  if (!existsSync(join(folder, "up"))) {
    throw new Error(
      `no cluster: set KUBECONFIG to one (kind, k3d, ...); there is none to bring up in ${folder}`,
    );
  }
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
  const load = process.env["ECHO_E2E_LOAD"];
  if (load !== undefined && load !== "") return await withImages(load.split(" "), async () => {});
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
  const builder = process.env["ECHO_E2E_BUILD"] ?? resolve(PROJECT, "../shared/images/build");
  if (existsSync(builder)) {
    await run([builder, PROJECT, tag, archive]);
    return;
  }
  await run(["docker", "build", "--no-cache", "-t", tag, PROJECT]);
  await run(["docker", "save", "-o", archive, tag]);
}
