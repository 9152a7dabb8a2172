import { expect, test } from "bun:test";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../src", import.meta.url));

/** Files that are read, directly or not, when `file` is: what it imports at its head, and not by `import()`. */
async function readWith(file: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const code = (await Bun.file(file).text()).replace(/^#!.*/, "");
  for (const { kind, path } of new Bun.Transpiler({ loader: "ts" }).scanImports(code)) {
    if (kind !== "import-statement") continue;
    if (path.endsWith(".ts")) await readWith(join(dirname(file), path), seen);
    else seen.add(path);
  }
  return seen;
}

test("a command's code is read only when it is asked for", async () => {
  const read = await readWith(join(SOURCES, "process.ts"));
  const names = [...read].map((path) => (path.startsWith(SOURCES) ? relative(SOURCES, path) : path)).sort();
  expect(names).toContain("commands/serve.ts");
  expect(names).toContain("commands/health.ts");
  expect(names).toContain("commands/check.ts");
  const work = names.filter((name) =>
    /^(server|engine|rules|state|admin|client|diagnose)\/|^pino|^prom|^cli-progress/.test(name),
  );
  // A table, and what reads a target: which is what the command line is made of.
  expect(work).toEqual(["diagnose/targets.ts", "server/options.ts"]);
});

test("signals are caught before anything else is read", async () => {
  const read = await readWith(join(SOURCES, "main.ts"));
  expect([...read].map((path) => (path.startsWith(SOURCES) ? relative(SOURCES, path) : path))).toEqual([
    "main.ts",
    "signals.ts",
    "node:os",
  ]);
});
