import { type Endpoint, hostOf } from "../../net/endpoint.ts";
import type { Resolution } from "../resolve.ts";
import type { CheckResult, Note } from "../result.ts";
import { endpointFor, type Family, familyOf, type Target } from "../targets.ts";
import { countText, listText } from "../words.ts";
import type { Asked } from "./plan.ts";
import { notMeasured } from "./unmeasured.ts";
import { unresolvedResult } from "./unresolved.ts";

/** One line of the report to be: an address that is asked by one protocol, or what is known without asking. */
export type Row =
  | { readonly kind: "asked"; readonly asked: Asked; readonly notes: readonly Note[] }
  | { readonly kind: "known"; readonly result: CheckResult };

/** Which of a name's addresses are checked. */
export interface Choice {
  /** The only version wanted; null for both. */
  readonly family: Family | null;
  /** Of one name. */
  readonly addressesMax: number;
  /** Versions of which this machine has an address. */
  readonly here: ReadonlySet<Family>;
}

/**
 * What is to be asked, in the order of the report: by target, then by address, then by protocol.
 * @param resolutions of every host that is a name
 */
export function rowsOf(
  targets: readonly Target[],
  resolutions: ReadonlyMap<string, Resolution>,
  choice: Choice,
): Row[] {
  return targets.flatMap((target) => {
    if (target.address !== null) return askedOf(target, [target.address], null, []);
    const found = resolutions.get(target.host)!; // each name was resolved
    if (found.kind === "found") {
      const { chosen, notes } = choose(target.host, found.addresses, choice);
      return askedOf(target, chosen, found.ms, notes);
    }
    return target.protocols.map(
      (protocol): Row => ({
        kind: "known",
        result: unresolvedResult(target, protocol, found, choice.family),
      }),
    );
  });
}

/** @param notes told once a protocol, with the first address */
function askedOf(
  target: Target,
  addresses: readonly Endpoint[],
  resolveMs: number | null,
  notes: readonly Note[],
): Row[] {
  return addresses.flatMap((address, at) =>
    target.protocols.map((protocol): Row => {
      const endpoint = endpointFor(target, address, protocol);
      const asked: Asked = { target: target.text, protocol, name: target.host, endpoint, resolveMs };
      return { kind: "asked", asked, notes: at === 0 ? notes : [] };
    }),
  );
}

/**
 * The addresses of a name that are checked, and what is said of the others. Those of an IP version that this machine
 * has not are left out as long as there are others.
 */
function choose(
  host: string,
  addresses: readonly Endpoint[],
  { addressesMax, here }: Choice,
): { chosen: readonly Endpoint[]; notes: readonly Note[] } {
  const usable = addresses.filter(({ address }) => here.has(familyOf(address)));
  const tried = usable.length === 0 ? addresses : usable;
  const chosen = tried.slice(0, addressesMax);
  const notes: Note[] = [];
  const left = addresses.filter((address) => !tried.includes(address));
  if (left.length > 0) {
    const version = familyOf(left[0]!.address);
    const why = `this machine has no IPv${version} address; -${version} checks them all the same`;
    notes.push(notMeasured(`${listText(left.map(hostOf))} of ${host}`, why));
  }
  const cut = tried.length - chosen.length;
  if (cut > 0) {
    const which = `${countText(cut)} of the ${countText(tried.length)} addresses of ${host}`;
    notes.push(notMeasured(which, `--max-addresses is ${addressesMax}`));
  }
  return { chosen, notes };
}
