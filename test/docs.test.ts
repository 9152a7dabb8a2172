import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import packageJson from "../package.json";
import { FLAGS_PAGE, withFlagTables } from "../scripts/flags-table.ts";
import { PROJECT } from "./k8s/render.ts";

/** What the documentation says of the project is there. */

test("the tables of flags are the option tables (bun scripts/flags-table.ts writes it)", async () => {
  const page = await Bun.file(FLAGS_PAGE).text();
  expect(page).toBe(withFlagTables(page));
});

test("README can be read in one go", async () => {
  const lines = (await Bun.file(join(PROJECT, "README.md")).text()).split("\n");
  expect(lines.length).toBeLessThanOrEqual(200);
});

const PAGES = ["*.md", "docs/*.md", "k8s/*.md", "bench/*.md"].flatMap((pattern) =>
  [...new Bun.Glob(pattern).scanSync(PROJECT)].sort(),
);

/** The anchors of a page's headings, as GitHub makes them. */
async function anchorsOf(file: string): Promise<readonly string[]> {
  const text = (await Bun.file(file).text()).replace(/^```[\s\S]*?^```/gm, "");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test("there are such pages", () => {
  expect(PAGES).toEqual(expect.arrayContaining(["README.md", "docs/flags.md", "k8s/README.md"]));
});

describe.each(PAGES)("%s", (page) => {
  const file = join(PROJECT, page);

  test("links to pages and headings that are there", async () => {
    const text = await Bun.file(file).text();
    const links = [...text.matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map(([, link]) => link!);
    const broken: string[] = [];
    for (const link of links) {
      const [path, anchor] = link.split("#", 2);
      const target = path === "" ? file : resolve(dirname(file), path!);
      const missing =
        !existsSync(target) || (anchor !== undefined && !(await anchorsOf(target)).includes(anchor));
      if (missing) broken.push(`${link} (${relative(PROJECT, target)})`);
    }
    expect(broken).toEqual([]);
  });

  test("names scripts and files that are there", async () => {
    const text = await Bun.file(file).text();
    const scripts = [...text.matchAll(/\bbun(?:@[\d.]+)? run ([a-z][\w:]*)/g)].map(([, name]) => name!);
    expect(scripts.filter((name) => !(name in packageJson.scripts))).toEqual([]);
    const files = [
      ...text.matchAll(/(?<![\w/.-])(?:scripts|bench\/dev|src|test)\/[\w/.-]*\w(?![\w/*-])/g),
    ].map(([path]) => path);
    expect(files.filter((path) => !existsSync(join(PROJECT, path)))).toEqual([]);
  });
});
