import { describe, expect, test } from "bun:test";
import type { MeshResult } from "../../src/diagnose/mesh/result.ts";
import { span } from "../../src/page/html.ts";
import { detailsHtml, matrixHtml, popoverId } from "../../src/page/matrix.ts";
import { meshFindings } from "../../src/page/mesh-findings.ts";
import { meshView } from "../../src/page/mesh-view.ts";
import { lossText, msText } from "../../src/page/mesh-words.ts";
import { type Change, down, member, mesh, nodeDown, podName, unknown } from "../browser/facts.ts";
import { parse } from "./markup.ts";

/** What stands above the matrix, in words. */

const THREE = [member(1), member(2), member(3)];
const [one, two, three] = [1, 2, 3].map((number) => `${podName(number)} on node${number}`);

function says(result: MeshResult): string[] {
  return meshFindings(meshView(result)).map(({ kind, says }) => `${kind}: ${says}`);
}

function where(change: Change): string[] {
  return says(mesh(THREE, 10, change));
}

test("a mesh that is well has nothing to say", () => {
  expect(says(mesh(THREE, 10))).toEqual([]);
});

test("a list of members that is not known to hold is said first, where nobody is left, too", () => {
  const unresolved = "the resolver does not say what mesh is in time";
  const first = `unknown: ${podName(1)} cannot find out who is a member now, and shows those that it still knows of (${unresolved})`;
  expect(says({ ...nodeDown(), self: podName(1), unresolved })[0]).toBe(first);
  expect(says({ ...mesh(THREE, 10), members: [member(1)], pairs: [], unresolved })).toEqual([first]);
});

test("a node that is gone is one column down and one row unknown, each said once", () => {
  expect(says(nodeDown())).toEqual([
    `down: Nobody reaches ${two}: 2 of 2 that ask get no answer (no answer in 1 s: tcp 10.244.1.7:40112 > 10.244.2.7:1234)`,
    `unknown: ${two} did not tell its row: whom it reaches is unknown`,
  ]);
});

test("a protocol alone is named", () => {
  expect(where((pair) => (pair.to === podName(2) && pair.protocol === "udp" ? down(pair) : {}))).toEqual([
    expect.stringMatching(/^down: Nobody reaches .* on node2 over UDP: 2 of 2 that ask/),
  ]);
});

test("who reaches nobody is not said again of each whom it does not reach", () => {
  expect(where((pair) => (pair.from === podName(3) ? down(pair) : {}))).toEqual([
    expect.stringMatching(/^down: .* on node3 reaches nobody: 2 of 2 that it asks do not answer/),
  ]);
});

test("a pair alone is said with its ends", () => {
  const both: Change = (pair) => (pair.from === podName(1) && pair.to === podName(3) ? down(pair) : {});
  expect(where(both)).toEqual([
    expect.stringContaining(`down: ${one} to ${three}: TCP and UDP down (no answer`),
  ]);
});

test("one who was measured by nobody is unknown, whatever the reason, and never left out", () => {
  expect(where((pair) => (pair.to === podName(2) ? unknown("not measured yet") : {}))).toEqual([
    `unknown: ${two}: nobody's measurement of it is known (not measured yet)`,
  ]);
  expect(where((pair) => (pair.to === podName(2) ? null : {}))).toEqual([
    `unknown: ${two}: nobody's measurement of it is known`,
  ]);
  expect(says(mesh([member(1), member(2, { address: null, node: null })], 10, () => null))).toEqual([
    `unknown: ${podName(2)} has no address: whether it is up is unknown`,
    `unknown: ${one}: nobody's measurement of it is known`,
  ]);
  const first: Change = ({ from, to }) =>
    from === podName(1) && to === podName(2) ? unknown("not measured yet") : {};
  expect(where(first)).toEqual([
    `unknown: 2 pairs unknown: TCP from ${one} to ${two} and others (not measured yet)`,
  ]);
});

test("loss of what is up is said from over 1 % on, the worst of it", () => {
  const losing =
    (lost: number): Change =>
    (pair) =>
      pair.protocol === "udp" ? { lost, sent: 300 } : {};
  expect(where(losing(3))).toEqual([]);
  expect(where(losing(4))).toEqual([
    expect.stringMatching(/^lossy: .*: UDP up, 1.3 % lost \(4 of 300\); 5 other pairs over 1 %$/),
  ]);
});

describe("the matrix", () => {
  test("has twelve lines of findings at most, and says how many more there are", () => {
    const members = Array.from({ length: 20 }, (_, at) => member(at + 1, { address: null }));
    expect(matrixHtml(mesh(members, 3))).toContain("<li>and 8 more, in the matrix</li>");
  });

  test("tells who listens what each row and column is", async () => {
    const { elements } = await parse(matrixHtml(mesh(THREE, 10)));
    const scopes = (scope: string) =>
      elements.filter(({ tag, attributes }) => tag === "th" && attributes["scope"] === scope).length;
    expect([scopes("col"), elements.filter(({ tag }) => tag === "caption").length]).toEqual([4 + 12, 1]);
    expect(elements.filter(({ attributes }) => "popover" in attributes)).toHaveLength(6);
  });

  test("leaves out details that are not asked for", () => {
    const result = mesh(THREE, 10);
    const asked = `${podName(1)}>${podName(2)}`;
    const html = matrixHtml(result, (key) => key === asked);
    expect(html.match(/<h3>/g)).toHaveLength(1);
    expect(matrixHtml(result).match(/<h3>/g)).toHaveLength(6);
  });

  test("escapes what names and reasons have in them", async () => {
    const nasty = `<img src=x onerror="alert(1)">'&`;
    const members = [member(1), member(2, { name: nasty, node: nasty })];
    const html = matrixHtml(mesh(members, 10, () => unknown(nasty)));
    const { elements, text } = await parse(html);
    expect(elements.filter(({ tag }) => tag === "img")).toEqual([]);
    expect(text).toContain(nasty);
    const ids = elements.flatMap(({ attributes }) => attributes["id"] ?? []);
    const targets = elements.flatMap(({ attributes }) => attributes["popovertarget"] ?? []);
    expect(targets).toEqual(ids);
  });
});

describe("figures", () => {
  test("of time have three digits, and are never 0 where there was some", () => {
    expect([0.0004, 0.05, 0.2134, 1.256, 12.34, 123.4, 2500].map(msText)).toEqual([
      "< 0.001 ms",
      "0.05 ms",
      "0.213 ms",
      "1.26 ms",
      "12.3 ms",
      "123 ms",
      "2500 ms",
    ]);
  });

  test("of loss are neither 0 nor all where they are not quite", () => {
    const texts = [
      [0, 60],
      [1, 60],
      [30, 60],
      [1, 2000],
      [1999, 2000],
      [60, 60],
      [0, 0],
    ].map(([lost, sent]) => lossText(lost!, sent!));
    expect(texts).toEqual(["0 %", "1.7 %", "50 %", "< 0.1 %", "> 99 %", "100 %", "none sent"]);
  });

  test("of how long have two units at most", () => {
    const texts = [-5, 42, 185, 18_720, 180_000, 183_600].map((seconds) => span(seconds * 1000));
    expect(texts).toEqual(["0 s", "42 s", "3 min 5 s", "5 h 12 min", "2 d 2 h", "2 d 3 h"]);
  });
});

test("the details of a cell name the protocol of each reason once", async () => {
  const why = { tcp: "a new TCP session: refused", udp: "UDP: nothing came within 500 ms" };
  const result = mesh(THREE, 10, (pair) => ({ up: false, why: why[pair.protocol] }));
  const { text } = await parse(detailsHtml(result, popoverId(`${podName(1)}>${podName(2)}`)));
  expect(text).toContain("TCP a new TCP session: refused");
  expect(text).toContain("UDP nothing came within 500 ms");
});
