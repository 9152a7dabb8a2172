import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { circlesIn, codeIn, type Import, importsIn, importsOf, ROOT } from "./architecture/imports.ts";
import { namesOf, type Place, placeOf, readTable } from "./architecture/table.ts";

/** The table of places in docs/architecture.md is what the code does, and the code does nothing else. */

const { places, besides } = readTable(readFileSync(join(ROOT, "docs/architecture.md"), "utf8"));
const code = codeIn(["src", "bench"]);
const imports = importsOf(code);

function mayImport(from: Place, to: Place): boolean {
  return from === to || namesOf(to).some((name) => besides.includes(name) || from.allowed.includes(name));
}

/** What an import does that the table does not allow; null where it may be. */
function offence({ file, line, target }: Import): string | null {
  const from = placeOf(file, places);
  const to = placeOf(target, places);
  if (from === null || (to !== null && mayImport(from, to))) return null;
  const where = to === null ? "in no place" : `in ${to.paths.join(", ")}`;
  return `${file}:${line} imports ${target}, which is ${where}`;
}

test("every file of code is in a place, and every place has code", () => {
  expect(code.filter((file) => placeOf(file, places) === null)).toEqual([]);
  const empty = places.filter((place) => !code.some((file) => placeOf(file, places) === place));
  expect(empty).toEqual([]);
});

test("no file imports what its place may not", () => {
  expect(imports.length).toBeGreaterThan(500); // they are found at all
  expect(imports.map(offence).filter((each) => each !== null)).toEqual([]);
});

test("every import that a place is allowed is made", () => {
  const made = new Set(imports.map(({ file, target }) => `${placeIndex(file)} > ${placeIndex(target)}`));
  const unmade = places.flatMap((place, from) =>
    place.allowed
      .filter((name) => !made.has(`${from} > ${places.findIndex((other) => namesOf(other).includes(name))}`))
      .map((name) => `${place.paths.join(", ")} imports nothing of ${name}`),
  );
  expect(unmade).toEqual([]);
});

test("no files import each other in a circle, types included", () => {
  expect(circlesIn(imports)).toEqual([]);
});

test("the clients that test the server share nothing with the one that is tested", () => {
  const own = importsOf(codeIn(["test/clients"]));
  expect(own.length).toBeGreaterThan(20);
  expect(own.filter(({ target }) => target.startsWith("src/client/"))).toEqual([]);
});

function placeIndex(file: string): number {
  const place = placeOf(file, places);
  return place === null ? -1 : places.indexOf(place);
}

describe("these tests", () => {
  test("find every form of import, and its line", () => {
    const text = `import { a } from "./a.ts";
import type { B } from "../b/b.ts";
export {
  c,
} from "./c.ts";
import "./d.ts";
const e = await import("./e.ts");
type F = import("./f.ts").F;
import { version } from "../package.json";
import { test } from "bun:test";
`;
    expect(importsIn("src/x/y.ts", text).map(({ line, target }) => `${line} ${target}`)).toEqual([
      "1 src/x/a.ts",
      "2 src/b/b.ts",
      "5 src/x/c.ts",
      "6 src/x/d.ts",
      "7 src/x/e.ts",
      "8 src/x/f.ts",
    ]);
  });

  test("find a circle wherever it is entered, and no circle where two ways meet", () => {
    const edges = (text: string): Import[] =>
      text.split(" ").map((edge) => ({ file: edge[0]!, line: 1, target: edge[1]! }));
    expect(circlesIn(edges("ab bc cb"))).toEqual(["b > c > b"]);
    expect(circlesIn(edges("aa"))).toEqual(["a > a"]);
    expect(circlesIn(edges("ab ac bd cd"))).toEqual([]);
  });

  test("read a table, and know a file's place by the narrower of two", () => {
    const table = readTable(
      "| place | holds | may import (besides errors and net) |\n|---|---|---|\n" +
        "| `src/errors.ts`, `src/version.ts` | a | nothing |\n| `bench/` | b | sys, options |\n" +
        "| `bench/dev/` | c | bench |\n| `k8s/` | d | |\n\nText",
    );
    expect(table.besides).toEqual(["errors", "net"]);
    expect(table.places.map(({ allowed }) => allowed)).toEqual([[], ["sys", "options"], ["bench"]]);
    const [errors, bench, dev] = table.places;
    expect(namesOf(errors!)).toEqual(["errors", "version"]);
    expect(namesOf(dev!)).toEqual(["bench/dev"]);
    expect(placeOf("bench/dev/load.ts", table.places)).toBe(dev!);
    expect(placeOf("bench/main.ts", table.places)).toBe(bench!);
    expect(placeOf("src/version.ts", table.places)).toBe(errors!);
    expect(placeOf("src/versions.ts", table.places)).toBeNull();
    expect(() => readTable("no table")).toThrow("no table of places");
  });
});
