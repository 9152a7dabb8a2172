import type { Failure, FailureCode } from "../../client/failure.ts";
import { formatAddress } from "../../net/address.ts";
import type { ProblemCode, Where } from "../result.ts";

/** What a watch calls something that is wrong, in words. */
export interface Fault {
  readonly code: ProblemCode | "fault";
  readonly says: string;
  readonly likely: string;
  readonly where: Where;
  readonly next: string | null;
}

const HERE: Pick<Fault, "where" | "next"> = { where: "this_machine", next: null };

/** Verdicts that are told as the outage that they make: by themselves they make no exit code. */
const OUTAGES: ReadonlySet<string> = new Set([
  "no_such_name",
  "refused",
  "unreachable",
  "timeout",
  "silent",
  "reset",
  "closed",
  "lost",
]);

export function isOutage(code: string): boolean {
  return OUTAGES.has(code);
}

/** Who sent the news of a failure; null where the system does not tell. */
export function byWhom({ icmp }: Failure): string | null {
  return icmp === null ? null : formatAddress(icmp.by);
}

/** @param target for `echo-server check` */
export function unreachable(failure: Failure, target: string): Fault {
  const by = byWhom(failure);
  return {
    code: "unreachable",
    says:
      by === null
        ? `no way there from here${detail(failure)}`
        : `${by} says that there is no way there${detail(failure)}`,
    likely:
      by === null
        ? "no route, or the next hop does not answer"
        : "the far end's host or its link is gone, or a router forbids it",
    where: by === null ? "this_machine" : "path",
    next: `echo-server check ${target}`,
  };
}

/** Payloads that came and were not what was sent, by how they were read. */
export function wrongPayload(what: "duplicated" | "corrupted" | "foreign" | "crossed"): Fault {
  if (what === "duplicated") {
    return {
      code: "duplicated",
      says: "an echo came twice",
      likely: "two ways at once, or a switch or a bond that floods",
      where: "path",
      next: null,
    };
  }
  if (what === "corrupted") {
    return {
      code: "corrupted",
      says: "an echo came back changed",
      likely: "what answers is no exact echo, or something on the path rewrites payloads",
      where: "far_end",
      next: null,
    };
  }
  return {
    code: "foreign",
    says:
      what === "crossed"
        ? "the payload of another flow of this watch came"
        : "a payload came that was never sent",
    likely: "a translation on the path mixes flows up",
    where: "path",
    next: null,
  };
}

export function otherAddress(from: string): Fault {
  return {
    code: "other_address",
    says: `an answer came from ${from}, which was not asked`,
    likely:
      "the server listens on a wildcard and answers from its first address, or a translation is not undone",
    where: "far_end",
    next: null,
  };
}

/** A failure that is no news of the path: of this machine most often. */
export function otherFault(failure: Failure): Fault {
  const says = SAYS[failure.code] ?? "something that has no name of its own";
  const code =
    failure.code === "no_ports_here" || failure.code === "no_descriptors_here" || failure.code === "corrupted"
      ? failure.code
      : "fault";
  if (code === "corrupted") return wrongPayload("corrupted");
  return { code, says: `${says}${detail(failure)}`, likely: "see the machine's limits and its log", ...HERE };
}

const SAYS: Readonly<Partial<Record<FailureCode, string>>> = {
  no_ports_here: "no source port is left on this machine",
  no_descriptors_here: "no file descriptor is left on this machine",
  no_buffers_here: "the kernel has no room to send",
  port_in_use_here: "the source port is someone else's",
  no_such_address: "this machine has no such address",
  not_permitted_here: "this machine does not allow it",
  too_big: "the path does not carry even a small payload",
};

export function noSuchName(says: string, host: string): Fault {
  return {
    code: "no_such_name",
    says,
    likely: "the name is wrong, its last endpoint has gone, or the name server is not reached",
    where: "path",
    next: `getent ahosts ${host}`,
  };
}

function detail({ detail: word }: Failure): string {
  return word === "" ? "" : ` (${word})`;
}
