import { expect, test } from "bun:test";
import pino from "pino";
import { tellRows } from "../../src/admin/mesh/tell.ts";
import type { MeshMember } from "../../src/diagnose/mesh/result.ts";
import { addresses } from "./fixtures.ts";

/** What the log says of rows: each change once, and no line a member where a fleet goes. */

function told(members: readonly MeshMember[], missed: ReadonlySet<string>) {
  const lines: object[] = [];
  const log = pino({ base: null, timestamp: false }, { write: (line) => void lines.push(JSON.parse(line)) });
  return { lines, missing: tellRows(log, members, missed, (address) => `${address} hangs`) };
}

function membersOf(count: number, row: boolean | null): MeshMember[] {
  return addresses(count).map((address) => ({ name: `pod-${address}`, node: null, address, row }));
}

test("a few are told one by one, many in one line, and again only when it is otherwise", () => {
  const few = told(membersOf(10, false), new Set());
  expect(few.lines).toHaveLength(10);
  expect(few.lines[0]).toMatchObject({
    name: "pod-10.0.0.1",
    why: "10.0.0.1 hangs",
    msg: "row unknown: its prober did not tell it",
  });
  expect(told(membersOf(10, false), few.missing).lines).toEqual([]);
  const many = told(membersOf(200, false), new Set());
  expect(many.lines).toHaveLength(1);
  expect(many.lines[0]).toMatchObject({ count: 200, msg: "rows unknown: their probers did not tell them" });
  expect((many.lines[0] as { names: string[] }).names.at(-1)).toBe("and 190 more");
  expect(told(membersOf(200, true), many.missing)).toMatchObject({
    lines: [{ count: 200, msg: "rows known again" }],
    missing: new Set(),
  });
  expect(told(membersOf(200, null), new Set())).toEqual({ lines: [], missing: new Set() });
});
