import { z } from "zod";
import { printable, UsageError } from "../../errors.ts";
import type { Way } from "./cell.ts";
import { fromJson } from "./objects.ts";
import type { PlannedCell } from "./plan.ts";

/** Which cell of a matrix, whenever it was asked. */
export interface CellKey {
  readonly from: string;
  readonly to: string;
  readonly way: Way;
  readonly protocol: "tcp" | "udp";
}

const before = z.looseObject({
  tool: z.literal("fleet"),
  cells: z.array(
    z.looseObject({
      from: z.string(),
      fromNode: z.string().nullable(),
      to: z.string(),
      toNode: z.string().nullable(),
      way: z.enum(["pod", "name", "service", "nodeport", "self"]),
      protocol: z.enum(["tcp", "udp"]),
      ok: z.boolean().nullable(),
    }),
  ),
});

/**
 * The cells that failed, of what `fleet --json` printed before.
 * @throws UsageError where the file holds something else
 */
export async function failedIn(file: string): Promise<CellKey[]> {
  const text = await Bun.file(file)
    .text()
    .catch((error: Error) => {
      throw new UsageError(
        `--failed-from ${printable(file)} cannot be read: ${printable(error.message)}; allowed: a file that fleet --json wrote`,
      );
    });
  const parsed = before.safeParse(fromJson(text));
  if (!parsed.success)
    throw new UsageError(
      `--failed-from ${printable(file)} is not allowed: it is no report of fleet; allowed: a file that fleet --json wrote`,
    );
  return parsed.data.cells.filter(({ ok }) => ok === false);
}

/**
 * Those cells of a plan, in its order, and after them those that there are no more: a member that has gone, say.
 */
export function onlyThose(planned: readonly PlannedCell[], keys: readonly CellKey[]): PlannedCell[] {
  const wanted = new Set(keys.map(textOf));
  const chosen = planned.filter((cell) => wanted.has(textOf(cell)));
  const there = new Set(chosen.map(textOf));
  const gone = keys
    .filter((key) => !there.has(textOf(key)))
    .map(
      ({ from, to, way, protocol }): PlannedCell => ({
        from,
        fromNode: null,
        to,
        toNode: null,
        way,
        protocol,
        target: null,
        why: "it failed before, and is no part of the fleet any more",
        policy: null,
      }),
    );
  return [...chosen, ...gone];
}

function textOf({ from, to, way, protocol }: CellKey): string {
  return [from, to, way, protocol].join(" ");
}
