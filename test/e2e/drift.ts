import { expect, test } from "bun:test";
import { join } from "node:path";
import { K8S, OVERLAYS } from "../k8s/render.ts";
import { kubectl, NAMESPACE } from "./kubectl.ts";
import { run } from "./shell.ts";

/** What GitOps wants: what is applied is what is there, whoever applies it and how. */
export function driftTests(): void {
  test("apply, and apply --server-side after it: no conflict, and nothing that differs from what was applied", async () => {
    await kubectl(["create", "namespace", NAMESPACE, "--save-config"]); // for those that do not bring it
    try {
      for (const { path } of OVERLAYS) {
        const folder = join(K8S, path);
        await kubectl(["apply", "-k", folder]);
        await noDifference(folder);
        await kubectl(["apply", "--server-side", "-k", folder]);
        await Promise.all([noDifference(folder, "--server-side"), noDifference(folder)]);
      }
    } finally {
      await kubectl(["delete", "namespace", NAMESPACE]);
    }
  });
}

/**
 * kubectl reads an object twice, as it is and as it would be: a status that changes in between is a difference, too, and
 * gone the next time. One that an apply would make stays.
 */
async function noDifference(folder: string, ...how: string[]): Promise<void> {
  const diff = async (): Promise<object> => {
    const { stdout, exitCode } = await run(["kubectl", "diff", ...how, "-k", folder], { allowed: [0, 1] });
    return { folder, how, exitCode, stdout };
  };
  const none = { folder, how, exitCode: 0, stdout: "" };
  let found = await diff();
  for (let tries = 4; tries > 0 && !Bun.deepEquals(found, none); tries--) {
    await Bun.sleep(500);
    found = await diff();
  }
  expect(found).toEqual(none);
}
