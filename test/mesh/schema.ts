import { z } from "zod";
import type { MeshResult } from "../../src/diagnose/mesh/result.ts";

/** The shape of `/mesh.json`, field by field, as docs/diagnosis.md tells it to scripts: nothing is missing, nothing else is there. */

const count = z.int().min(0);
const ms = z.number().min(0);
const times = z
  .strictObject({ p50: ms, p99: ms })
  .refine(({ p50, p99 }) => p50 <= p99, "in order")
  .nullable();
const iso = z.iso.datetime({ precision: 3 });
const name = z.string().min(1);

const member = z.strictObject({
  name,
  node: name.nullable(),
  address: z.string().min(1).nullable(),
  row: z.boolean().nullable(),
});

const pair = z
  .strictObject({
    ...{ from: name, to: name, fromNode: name.nullable(), toNode: name.nullable() },
    protocol: z.enum(["tcp", "udp"]),
    up: z.boolean().nullable(),
    ...{ rttMs: times, connectMs: times, hops: count.nullable() },
    ...{ sent: count, lost: count, duplicated: count, reordered: count, corrupted: count },
    since: iso.nullable(),
    why: z.string().min(1).nullable(),
  })
  .refine(({ up, why }) => (why === null) === (up === true), "whatever is not up says why");

export const MESH = z
  .strictObject({
    version: z.literal(1),
    at: iso,
    self: name,
    intervalMs: z.int().min(1),
    unresolved: name.nullable(),
    members: z.array(member).readonly(),
    pairs: z.array(pair).readonly(),
  })
  .refine(({ members }) => new Set(members.map((each) => each.name)).size === members.length, "names differ")
  .refine(({ pairs }) => {
    const keys = pairs.map(({ from, to, protocol }) => `${protocol} ${from} ${to}`);
    return new Set(keys).size === keys.length;
  }, "each pair once")
  .refine(({ members, pairs }) => {
    const names = new Set(members.map((each) => each.name));
    return pairs.every(({ from, to }) => names.has(from) && names.has(to) && from !== to);
  }, "pairs are of members, and of nobody with itself");

/** That the shape and the type are the same is checked when this is compiled. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Shape = z.infer<typeof MESH>;
export const SHAPE_TAKES_TYPE: MeshResult extends Shape ? true : false = true;
export const PAIR_HAS_FIELDS: Same<keyof Shape["pairs"][number], keyof MeshResult["pairs"][number]> = true;
