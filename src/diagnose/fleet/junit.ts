import { printable, StartError } from "../../errors.ts";
import type { Cell } from "./cell.ts";
import { cellText } from "./problems.ts";
import type { FleetReport } from "./result.ts";

/**
 * A report as CI reads it: a suite for each way, a case for each cell, `skipped` where it was not measured.
 * (Nobody owns the format; this is what Jenkins, GitLab and GitHub's actions read of it.)
 */
export function junitText({ cells, startedAt, seconds }: FleetReport): string {
  const ways = [...new Set(cells.map(({ way }) => way))];
  const suites = ways.map((way) =>
    suite(
      way,
      cells.filter((cell) => cell.way === way),
      startedAt,
    ),
  );
  const head = `<testsuites name="echo-server fleet"${counts(cells)} time="${seconds.toFixed(3)}">`;
  return ['<?xml version="1.0" encoding="UTF-8"?>', head, ...suites, "</testsuites>", ""].join("\n");
}

/** @throws StartError where the file cannot be written */
export async function writeJunit(file: string, report: FleetReport): Promise<void> {
  try {
    await Bun.write(file, junitText(report), { createPath: false });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(`--junit ${printable(file)} cannot be written: ${printable(why)}`);
  }
}

function suite(way: string, cells: readonly Cell[], startedAt: string): string {
  const head = `  <testsuite name="fleet ${text(way)}"${counts(cells)} timestamp="${text(startedAt)}">`;
  return [head, ...cells.map(testCase), "  </testsuite>"].join("\n");
}

function counts(cells: readonly Cell[]): string {
  const failures = cells.filter(({ ok }) => ok === false).length;
  const skipped = cells.filter(({ ok }) => ok === null).length;
  return ` tests="${cells.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
}

function testCase(cell: Cell): string {
  const head = `    <testcase classname="fleet.${cell.way}.${cell.protocol}" name="${text(cellText(cell))}"`;
  if (cell.ok === true) return `${head}/>`;
  const inner =
    cell.ok === null ? `      <skipped message="${text(cell.why ?? "not measured")}"/>` : failure(cell);
  return `${head}>\n${inner}\n    </testcase>`;
}

function failure({ result, policy }: Cell): string {
  const problems = result?.problems ?? [];
  const code = problems[0]?.code ?? "timeout";
  const message = problems[0]?.says ?? "no answer";
  const lines = problems.map(({ code, says, flow, next }) =>
    [`${code}: ${says}`, flow, next].filter((part) => part !== null).join("\n"),
  );
  const forbidden = policy === null ? [] : [`NetworkPolicy ${policy} forbids it`];
  const body = [...forbidden, ...lines].join("\n");
  return `      <failure type="${text(code)}" message="${text(message)}">${text(body)}</failure>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** As XML 1.0 has it, of characters that may stand in it at all (2.2). */
function text(raw: string): string {
  return raw
    .replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "?")
    .replace(/[&<>"]/g, (character) => ENTITIES[character]!);
}
