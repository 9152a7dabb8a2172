import { z } from "zod";
import { printable } from "../../errors.ts";
import { OBJECT_NAME } from "../../net/name.ts";
import type { MeshPair } from "./result.ts";

/** What a member's prober says of itself. It comes from outside: whatever is not as it must be is no answer. */

/** More members than any prober keeps (`--max-members`), and more pairs than it may be assigned. */
const MEMBERS_MAX = 5100;
const PAIRS_MAX = 500;

/** Longest name here: a Pod's, and the address that tells it from its like. */
const NAME_MAX = 320;

/** Two probes of one pair say why, each with both ends of a flow. */
const WHY_MAX = 600;

const count = z.int().min(0);
const ms = z.number().min(0);
const times = z.object({ p50: ms, p99: ms }).nullable();
const member = z.string().regex(OBJECT_NAME);
const anyName = z.string().min(1).max(NAME_MAX);

const pair = z.object({
  from: anyName,
  to: anyName,
  protocol: z.enum(["tcp", "udp"]),
  up: z.boolean().nullable(),
  rttMs: times,
  connectMs: times,
  hops: z.int().min(0).max(255).nullable(),
  sent: count,
  lost: count,
  duplicated: count,
  reordered: count,
  corrupted: count,
  since: z.iso.datetime({ precision: 3 }).nullable(),
  why: z
    .string()
    .transform((text) => printable(text, WHY_MAX))
    .nullable(),
});

const told = z.object({
  version: z.literal(1),
  at: z.iso.datetime({ precision: 3 }),
  self: member,
  members: z
    .array(z.object({ name: anyName, node: z.string().nullable(), address: z.string().max(64).nullable() }))
    .max(MEMBERS_MAX),
  pairs: z.array(pair).max(PAIRS_MAX),
});

/** A row as its member has told it. Names in it are that member's: they are translated by its `members`. */
export interface ToldRow {
  readonly self: string;
  readonly node: string | null;
  /** When it was told by that member's clock, ms since 1970. */
  readonly wallMs: number;
  /** Its own pairs alone; `to` as it calls them. */
  readonly pairs: readonly ToldPair[];
  /** The addresses of those whom `to` names; null for one without. */
  readonly addresses: ReadonlyMap<string, string | null>;
}

export type ToldPair = Omit<MeshPair, "from" | "fromNode" | "toNode">;

/**
 * Reads a member's answer. What it says of others is left out: it is believed of its own pairs alone.
 * @returns why it is none, in words, where it is none
 */
export function readToldRow(text: string): ToldRow | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return "what it answered is no JSON";
  }
  const { success, data } = told.safeParse(json);
  if (!success) return "what it answered is no row of a mesh";
  const { self, at, members, pairs } = data;
  const node = members.find(({ name }) => name === self)?.node ?? null;
  return {
    self,
    node: node !== null && OBJECT_NAME.test(node) ? node : null,
    wallMs: Date.parse(at),
    pairs: pairs.filter(({ from }) => from === self).map(toldPair),
    addresses: new Map(members.map(({ name, address }) => [name, address])),
  };
}

/** Clocks that differ by less are right: a row may take so long. */
const CLOCKS_MS = 2000;

/**
 * A row with its moments by this machine's clock, where its member's is another: else what happened just now happened an
 * hour ago, or will in an hour.
 * @param nowWallMs when it came, ms since 1970
 */
export function byOwnClock(row: ToldRow, nowWallMs: number): ToldRow {
  const aheadMs = row.wallMs - nowWallMs;
  if (Math.abs(aheadMs) <= CLOCKS_MS) return row;
  const translated = (since: string): string => {
    const wallMs = Math.min(nowWallMs, Math.max(0, Date.parse(since) - aheadMs));
    return new Date(wallMs).toISOString();
  };
  const pairs = row.pairs.map((pair) => ({ ...pair, since: pair.since && translated(pair.since) }));
  return { ...row, wallMs: nowWallMs, pairs };
}

/** Whatever is not up has a reason here. */
function toldPair({ from: _, up, why, ...rest }: z.infer<typeof pair>): ToldPair {
  return { ...rest, up, why: up === true ? null : why || "it does not say why" };
}
