import { expect, test } from "bun:test";
import { README, withFlagTable } from "../scripts/readme-flags.ts";

test("the README's table of flags is the option table (bun scripts/readme-flags.ts writes it)", async () => {
  const readme = await Bun.file(README).text();
  expect(readme).toBe(withFlagTable(readme));
});
