import { afterAll, beforeAll } from "bun:test";
import { cleanUp } from "./check.ts";
import { Lab } from "./lab.ts";
import { requireLab } from "./needs.ts";

/**
 * A lab for all tests of a file; each file has its own, so that files may run side by side.
 * @throws with what is missing
 */
export async function withLab(): Promise<() => Lab> {
  await requireLab();
  let lab: Lab | undefined;

  beforeAll(async () => {
    lab = await Lab.make();
  });

  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    cleanUp();
  });

  return () => lab!;
}
