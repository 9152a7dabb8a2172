import { z } from "zod";
import type { MeshResult } from "../diagnose/mesh/result.ts";
import type { SelfFacts, ToldClients } from "../page/facts.ts";

/** What other servers of this program say, read strictly: they may be another version, or somebody else. */

/** A Pod's, and the address that tells it from its like. */
const NAME_LENGTH_MAX = 320;

/** As many as a prober may keep (`--max-members`), and by name besides; pairs, as many as fit what is read of them. */
const MEMBERS_MAX = 5100;

const name = z.string().max(NAME_LENGTH_MAX);
const number = z.number().nonnegative();
const time = z.string().max(40);

const sessions = z
  .array(
    z.object({
      protocol: z.enum(["TCP", "UDP"]),
      active: number,
      opened: number,
      refused: number,
      receivedBytes: number,
      sentBytes: number,
    }),
  )
  .max(2);

const selfFacts = z.object({
  version: z.literal(1),
  name,
  node: name.nullable(),
  state: z.enum(["serving", "not_ready", "draining"]),
  uptimeMs: number,
  sessions,
});

/** Null where the text is not what `/self.json` says. */
export function readSelf(text: string): SelfFacts | null {
  return read(selfFacts, text);
}

/** Of each protocol, as `--last-clients` has it at most. */
const CLIENTS_MAX = 512;

const toldClients = z.object({
  version: z.literal(1),
  clients: z
    .array(
      z.object({
        at: z.iso.datetime(),
        client: z.string().max(64),
        protocol: z.enum(["TCP", "UDP"]),
        sessions: number,
        bytes: number,
        open: z.boolean(),
      }),
    )
    .max(CLIENTS_MAX)
    .nullable(),
});

/** Null where the text is not what `/clients.json` says. */
export function readClients(text: string): ToldClients | null {
  return read(toldClients, text);
}

const times = z.object({ p50: number, p99: number }).nullable();

const meshResult = z.object({
  version: z.literal(1),
  at: time,
  self: name,
  intervalMs: number,
  unresolved: z.string().max(1000).nullable().default(null),
  members: z
    .array(
      z.object({
        name,
        node: name.nullable(),
        address: z.string().max(64).nullable(),
        row: z.boolean().nullable(),
      }),
    )
    .max(MEMBERS_MAX),
  pairs: z.array(
    z.object({
      from: name,
      to: name,
      fromNode: name.nullable(),
      toNode: name.nullable(),
      protocol: z.enum(["tcp", "udp"]),
      up: z.boolean().nullable(),
      rttMs: times,
      connectMs: times,
      hops: number.nullable(),
      sent: number,
      lost: number,
      duplicated: number,
      reordered: number,
      corrupted: number,
      since: time.nullable(),
      why: z.string().max(1000).nullable(),
    }),
  ),
});

/** Null where the text is not what `/mesh.json` says. Fields that are not known here are left out. */
export function readMesh(text: string): MeshResult | null {
  return read(meshResult, text);
}

function read<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    const read = schema.safeParse(JSON.parse(text));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}
