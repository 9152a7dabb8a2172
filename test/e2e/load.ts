import { expect, test } from "bun:test";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { K8S } from "../k8s/render.ts";
import { kubectl } from "./kubectl.ts";
import { run } from "./shell.ts";

const CRD = fileURLToPath(new URL("testrun-crd.yaml", import.meta.url));

/**
 * The overlays for the k6 operator, as a real API server sees them: on a cluster with the operator by its own
 * definition of a TestRun, on any other by the one written down here.
 */
export function loadTests(): void {
  test("the API server accepts the load overlays, without a warning", async () => {
    const there = await kubectl(["get", "crd", "testruns.k6.io", "--ignore-not-found", "-o", "name"]);
    if (there === "") {
      await kubectl(["apply", "-f", CRD]);
      await kubectl(["wait", "--for=condition=Established", "-f", CRD, "--timeout=30s"]);
    }
    try {
      await kubectl(["apply", "-f", join(K8S, "overlays/load/namespace.yaml")]); // what is in it needs it
      for (const overlay of ["load", "load-pool"]) {
        const folder = join(K8S, "overlays", overlay);
        const dryRun = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-k", folder];
        const { stdout, stderr } = await run(dryRun);
        expect(stderr).toBe("");
        expect(stdout).toContain("testrun.k6.io/echo-load created (server dry run)\n");
        expect(stdout).toContain("configmap/k6-scripts created (server dry run)\n");
      }
    } finally {
      await kubectl(["delete", "-f", join(K8S, "overlays/load/namespace.yaml")]);
      if (there === "") await kubectl(["delete", "-f", CRD]);
    }
  });
}
