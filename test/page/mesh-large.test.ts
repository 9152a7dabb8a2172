import { expect, test } from "bun:test";
import type { MeshPair } from "../../src/diagnose/mesh/result.ts";
import { matrixHtml } from "../../src/page/matrix.ts";
import { parse } from "./markup.ts";
import { meshOf } from "./mesh.ts";

test("100 members are drawn; of more there are words, however many they are", async () => {
  expect(matrixHtml(meshOf(100))).toContain('class="matrix"');
  for (const size of [101, 2000]) {
    const html = matrixHtml(meshOf(size));
    expect(html).not.toContain('class="matrix"');
    expect(html.length).toBeLessThan(1000);
    expect((await parse(html)).text).toContain(`${size === 101 ? "101" : "2,000"} members`);
    expect(html).toContain("all up");
  }
});

test("members that may be others by now are said to be", async () => {
  const { text } = await parse(matrixHtml({ ...meshOf(101), unresolved: "no answer <here>" }));
  expect(text).toContain("m0 cannot find out who is a member now");
  expect(text).toContain("(no answer <here>)");
});

test("members that only pairs name count too: whoever says so cannot have a page without end", () => {
  const { members, ...rest } = meshOf(5000);
  expect(matrixHtml({ ...rest, members: members.slice(0, 1) }).length).toBeLessThan(1000);
});

test("what is not up is there, the worst first, as far as it fits", async () => {
  const mesh = meshOf(200, (at) => (at === 7 ? { address: null } : at === 8 ? { row: false } : {}));
  const pairs = mesh.pairs.map((pair, at): MeshPair => {
    if (at === 1500) return { ...pair, up: false, why: "<b> timeout" };
    return at < 150 ? { ...pair, up: null, why: null } : pair;
  });
  const html = matrixHtml({ ...mesh, pairs });
  const { text, elements } = await parse(html);
  expect(text).toContain("1 down 200 members, 2,000 pairs: 1 down, 150 unknown, 1,849 up.");
  expect(text).toContain("<b> timeout");
  expect(text.indexOf("<b> timeout")).toBeLessThan(text.indexOf("it has no address"));
  expect(text.indexOf("its row did not come")).toBeLessThan(text.indexOf("not measured yet"));
  expect(text).toContain("And 53 more.");
  expect(elements.filter(({ tag }) => tag === "tr")).toHaveLength(101);
});
