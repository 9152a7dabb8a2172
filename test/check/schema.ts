import { z } from "zod";
import type { CheckReport } from "../../src/diagnose/result.ts";

/** The shape of `check --json`, field by field, as docs/diagnosis.md tells it to scripts: nothing is missing, nothing else is there. */

const count = z.int().min(0);
const bytes = z.int().min(0);
const ms = z.number().min(0);
const quantiles = z
  .strictObject({ min: ms, p50: ms, p99: ms, max: ms })
  .refine(({ min, p50, p99, max }) => min <= p50 && p50 <= p99 && p99 <= max, "in order");
const holes = z.array(z.tuple([bytes, bytes]).readonly()).readonly();
const direction = z.enum(["there", "back", "both"]);

const facts = {
  by: z.string().nullable().optional(),
  from: z.string().optional(),
  direction: direction.nullable().optional(),
  mtu: bytes.nullable().optional(),
  holes: holes.optional(),
  seen: z.string().optional(),
  count: count.optional(),
  bytes: bytes.optional(),
};

export const PROBLEM_CODES = [
  "no_such_name",
  "refused",
  "unreachable",
  "timeout",
  "silent",
  "reset",
  "closed",
  "other_address",
  "lost",
  "duplicated",
  "corrupted",
  "foreign",
  "syn_lost",
  "half_close_cut",
  "half_close_no_end",
  "mtu_black_hole",
  "fragments_lost",
  "size_hole",
  "no_ports_here",
  "no_descriptors_here",
] as const;

export const NOTE_CODES = [
  "reordered",
  "source_translated",
  "destination_translated",
  "uneven",
  "mtu_reduced",
  "not_measured",
] as const;

/** Texts that stand in a sentence: one line, without a full stop of their own. */
const words = z
  .string()
  .min(1)
  .regex(/^[^\n]*[^\n.]$/);
const flow = z.string().regex(/^(tcp|udp) \S+ > \S+$/);

const problem = z.strictObject({
  code: z.enum(PROBLEM_CODES),
  ...facts,
  flow: flow.nullable(),
  says: words,
  likely: words,
  where: z.enum(["path", "far_end", "this_machine"]),
  next: z.string().min(1).nullable(),
});

const note = z.strictObject({ code: z.enum(NOTE_CODES), ...facts, says: words });

const server = z.strictObject({
  server: z.string().nullable(),
  pod: z.string().nullable(),
  node: z.string().nullable(),
  flows: count,
});

const mtu = z.strictObject({
  there: bytes.nullable(),
  back: bytes.nullable(),
  largestThere: bytes.nullable(),
  largestBack: bytes.nullable(),
  holesThere: holes.nullable(),
  holesBack: holes.nullable(),
  fragmentsThere: z.boolean().nullable(),
  fragmentsBack: z.boolean().nullable(),
});

const result = z
  .strictObject({
    target: z.string().min(1),
    protocol: z.enum(["tcp", "udp"]),
    name: z.string().min(1),
    address: z.string().nullable(),
    port: z.int().min(1).max(65_535),
    ok: z.boolean(),
    resolveMs: ms.nullable(),
    flows: count,
    flowsAnswered: count,
    servers: z.array(server).readonly().nullable(),
    source: z.strictObject({
      own: z.string().nullable(),
      seen: z.array(z.string()).readonly().nullable(),
      addressTranslated: z.boolean().nullable(),
      portTranslated: z.boolean().nullable(),
    }),
    destination: z.strictObject({ asked: z.string(), translated: z.boolean().nullable() }),
    connectMs: quantiles.nullable(),
    firstByteMs: quantiles.nullable(),
    rttMs: quantiles.nullable(),
    sent: count,
    received: count,
    lost: count,
    duplicated: count,
    reordered: count,
    corrupted: count,
    foreign: count,
    synRetransmits: count.nullable(),
    halfClose: z.enum(["whole", "cut", "no_end"]).nullable(),
    bulkBytes: bytes.nullable(),
    tcp: z.strictObject({ mss: bytes, retransmits: count, kernelRttMs: ms }).nullable(),
    hops: z.strictObject({ there: z.null(), back: count }).nullable(),
    mtu: mtu.nullable(),
    problems: z.array(problem).readonly(),
    notes: z.array(note).readonly(),
  })
  .refine(({ ok, problems }) => ok === (problems.length === 0), "ok is: no problem");

export const REPORT = z
  .strictObject({
    tool: z.literal("check"),
    version: z.literal(1),
    ok: z.boolean(),
    startedAt: z.iso.datetime({ precision: 3 }),
    seconds: z.number().min(0),
    attempts: z.int().min(1),
    results: z.array(result).min(1).readonly(),
  })
  .refine(({ ok, results }) => ok === results.every((each) => each.ok), "ok is: all are");

/** That the shape and the type are the same is checked when this is compiled. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Shape = z.infer<typeof REPORT>;
export const SHAPE_TAKES_TYPE: CheckReport extends Shape ? true : false = true;
export const SHAPE_HAS_FIELDS: Same<keyof Shape["results"][number], keyof CheckReport["results"][number]> =
  true;
