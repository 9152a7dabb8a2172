import { expect, test } from "bun:test";
import { join } from "node:path";
import { K8S, OVERLAYS } from "../k8s/render.ts";
import { kubectl, NAMESPACE } from "./kubectl.ts";
import { run } from "./shell.ts";

/** What GitOps wants: what is applied is what is there, whoever applies it and how. */
export function driftTests(): void {
  test("apply, and apply --server-side after it: no conflict, and nothing that differs from what was applied", async () => {
    for (const { path, has } of OVERLAYS) {
      const folder = join(K8S, path);
      const ownNamespace = has.includes("namespace");
      if (!ownNamespace) await kubectl(["create", "namespace", NAMESPACE]);
      try {
        await kubectl(["apply", "-k", folder]);
        await noDifference(folder);
        await kubectl(["apply", "--server-side", "-k", folder]);
        await noDifference(folder, "--server-side");
        await noDifference(folder);
        await kubectl(["apply", "-k", folder]);
        await noDifference(folder);
      } finally {
        await kubectl(["delete", "-k", folder, "--ignore-not-found"]);
        if (!ownNamespace) await kubectl(["delete", "namespace", NAMESPACE]);
      }
    }
  });
}

/** Twice, because what a first look has changed would be seen by a second. */
async function noDifference(folder: string, ...how: string[]): Promise<void> {
  for (const look of ["first", "second"]) {
    const { stdout, exitCode } = await run(["kubectl", "diff", ...how, "-k", folder], { allowed: [0, 1] });
    expect({ folder, how, look, exitCode, stdout }).toEqual({ folder, how, look, exitCode: 0, stdout: "" });
  }
}
