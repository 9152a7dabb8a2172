import { z } from "zod";
import type { FleetReport } from "../../src/diagnose/fleet/result.ts";
import { PROBLEM_CODES, REPORT } from "../check/schema.ts";

/** The shape of `fleet --json`, as docs/diagnosis.md tells it to scripts: nothing is missing, nothing else is there. */

const result = REPORT.shape.results.unwrap().element;

const cell = z
  .strictObject({
    from: z.string().min(1),
    fromNode: z.string().nullable(),
    to: z.string().min(1),
    toNode: z.string().nullable(),
    way: z.enum(["pod", "name", "service", "nodeport", "self"]),
    protocol: z.enum(["tcp", "udp"]),
    ok: z.boolean().nullable(),
    why: z.string().min(1).nullable(),
    policy: z.string().nullable(),
    result: result.nullable(),
  })
  .refine(
    ({ ok, why }) => (ok === null) === (why !== null),
    "what was not measured says why, and nothing else does",
  )
  .refine(({ ok, result }) => ok === null || result?.ok === ok, "what was measured has its result");

const problem = z.strictObject({
  code: z.enum(PROBLEM_CODES),
  says: z.string().regex(/^[^\n]*[^\n.]$/),
  likely: z.string().regex(/^[^\n]*[^\n.]$/),
  where: z.enum(["path", "far_end", "this_machine"]),
  flow: z
    .string()
    .regex(/^(tcp|udp) \S+ > \S+$/)
    .nullable(),
  next: z.string().min(1).nullable(),
  cells: z.array(z.int().min(0)).min(1).readonly(),
});

export const FLEET_REPORT = z
  .strictObject({
    tool: z.literal("fleet"),
    version: z.literal(1),
    ok: z.boolean(),
    startedAt: z.iso.datetime({ precision: 3 }),
    seconds: z.number().min(0),
    namespace: z.string().min(1),
    family: z.union([z.literal(4), z.literal(6)]),
    cells: z.array(cell).readonly(),
    problems: z.array(problem).max(3).readonly(),
    notes: z.array(z.string().min(1)).readonly(),
  })
  .refine(
    ({ cells, problems }) =>
      problems
        .flatMap((each) => each.cells)
        .sort((a, b) => a - b)
        .join() === cells.flatMap(({ ok }, at) => (ok === false ? [at] : [])).join(),
    "each cell that fails is in one problem",
  );

/** That the type fits the shape is checked when this is compiled. */
type Shape = z.infer<typeof FLEET_REPORT>;
export const SHAPE_TAKES_TYPE: FleetReport extends Shape ? true : false = true;
