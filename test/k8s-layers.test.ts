import { describe, test } from "bun:test";
import { layerTests } from "./k8s/layers.ts";
import { meshTests } from "./k8s/mesh.ts";
import { findKustomize } from "./k8s/render.ts";

// Here and not in a hook, because the first time kustomize is built, which takes longer than a test may.
const missing = await findKustomize().then(
  () => null,
  (error: Error) => error.message,
);

if (missing === null) {
  describe("layers:", layerTests);
  describe("the mesh:", meshTests);
} else {
  test("the fleet in layers", () => {
    if (process.env["CI"] !== undefined) throw new Error(missing);
    console.warn(`\nTHE MANIFESTS IN k8s/ WERE NOT TESTED: ${missing}\n`);
  });
}
