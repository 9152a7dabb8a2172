import { test } from "bun:test";
import { alertTests } from "./k8s/alerts.ts";
import { findKustomize, findPromtool } from "./k8s/render.ts";

// Here and not in a hook: the first time both are fetched or built, which takes longer than a test may.
const found = await Promise.all([findPromtool(), findKustomize()]).catch((error: Error) => error.message);

if (typeof found !== "string") {
  alertTests(found[0]);
} else {
  test("the alerts", () => {
    if (process.env["CI"] !== undefined) throw new Error(found);
    console.warn(`\nTHE ALERTS IN k8s/ WERE NOT TESTED: ${found}\n`);
  });
}
