import { type Address, formatAddress, sameAddress } from "../../net/address.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { Problem } from "../result.ts";
import { FIREWALL_RULES } from "./next.ts";

/** Likely causes that are the same over TCP and over UDP, and whom they point at. */
export type Cause = Pick<Problem, "likely" | "where">;

/** What was seen, with its likely cause. */
export type Words = Pick<Problem, "says"> & Cause;

/** Where some flows were answered and others not, the backends behind one address differ, or the ways to them. */
export const ONE_BACKEND_GONE = "one backend is gone and still in rotation";

/** The same, where the machine is there and refuses. */
export const ONE_BACKEND_DEAF = "one backend does not listen and is still in rotation";

/** Who says that there is no way and is neither end. */
export const NO_ROUTE_ON_THE_WAY = "a router on the way has no route there, or forbids it";

/**
 * ICMP port unreachable, where it is no listener's absence that it tells: a rule.
 * @param by who sent it
 * @param own this end's address; null where it is not known
 */
export function rejected(by: Address, own: Address | null, target: Address): Cause {
  const rule = "a rule that rejects: a firewall's, or that of a Service without a ready endpoint";
  if (isSame(by, own)) return { likely: `${rule}, on this machine`, where: "this_machine" };
  return { likely: rule, where: isSame(by, target) ? "far_end" : "path" };
}

/**
 * ICMP says that there is no way, and one of the two ends sent it; null where it was somebody between them.
 * @param by who sent it
 * @param own this end's address; null where it is not known
 */
export function noWayByAnEnd(by: Address, own: Address | null, target: Address): Cause | null {
  if (isSame(by, target)) return { likely: "a firewall of the far end forbids it", where: "far_end" };
  // It sends this itself where its neighbour does not answer (ARP, neighbour discovery).
  if (isSame(by, own)) {
    return { likely: "no machine on this link has that address: it is down, or gone", where: "far_end" };
  }
  return null;
}

/** This machine allows nothing to leave. */
export const NOT_PERMITTED = {
  likely: "a local firewall forbids it, or the source port is one for root",
  where: "this_machine",
  next: FIREWALL_RULES,
} as const;

/**
 * This machine has no such address to ask from.
 * @param address that was asked for; undefined where none was
 * @returns from what it cannot ask, in words, and why
 */
export function noSuchAddress(address: Address | undefined): {
  readonly from: string;
  readonly cause: Cause & { readonly next: string };
} {
  const here = { where: "this_machine", next: "ip address" } as const;
  if (address === undefined) {
    return { from: "any address of this family", cause: { likely: "it has no IPv6, or no IPv4", ...here } };
  }
  const likely = "that is not one of its own, or of another family";
  return { from: formatAddress(address), cause: { likely, ...here } };
}

/** The zone of an address is no interface here. */
export function noInterface({ zone }: Endpoint): Cause & { readonly next: string } {
  const likely = `this machine has no interface ${zone ?? "of that name"}`;
  return { likely, where: "this_machine", next: "ip link" };
}

function isSame(a: Address, b: Address | null): boolean {
  return b !== null && sameAddress(a, b);
}
