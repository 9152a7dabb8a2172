import { MeshKnowledge } from "../../src/diagnose/mesh/knowledge.ts";
import type { Named } from "../../src/diagnose/mesh/names.ts";
import type { Now } from "../../src/diagnose/mesh/pair.ts";
import { peersOf } from "../../src/diagnose/mesh/ring.ts";
import type { ProbeName, ProbeSeen, Roster } from "../../src/diagnose/mesh/seen.ts";

/** What the tests of the judging half share. */

export const SELF: Named = { name: "pod-1", node: "node-1" };

/** Both clocks, so many ms after the test began. */
export function at(ms: number): Now {
  return { ms, wallMs: 1_700_000_000_000 + ms };
}

/** `10.0.0.1`, `10.0.0.2`, ... in the order of the ring. */
export function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.${(index + 1) >> 8}.${(index + 1) & 255}`);
}

export function rosterOf(of: Partial<Roster> & Pick<Roster, "addresses">): Roster {
  return { own: of.addresses[0] ?? null, named: [], beyond: 0, unresolved: null, ...of };
}

/** An answered probe, but for what is said otherwise. */
export function seen(peer: string, probe: ProbeName, of: Partial<ProbeSeen> = {}): ProbeSeen {
  return {
    ...{ peer, probe, atMs: at(0).wallMs, fault: null, server: null },
    ...{ rttMs: 0.5, connectMs: null, hops: null, sent: 1, lost: 0 },
    sentMs: 0,
    ...{ duplicated: 0, reordered: 0, corrupted: 0 },
    flow: `${probe === "udp" ? "udp" : "tcp"} 10.0.0.1:4000 > ${peer}:1`,
    ...of,
  };
}

/** A probe without an answer. */
export function unanswered(peer: string, probe: ProbeName, of: Partial<ProbeSeen> = {}): ProbeSeen {
  return seen(peer, probe, { fault: "timeout", rttMs: null, lost: 1, ...of });
}

export function knowledgeOf(of: Partial<ConstructorParameters<typeof MeshKnowledge>[0]> = {}): MeshKnowledge {
  const degree = of.degree ?? 10;
  return new MeshKnowledge({
    ...{ intervalMs: 1000, timeoutMs: 1000, degree, self: SELF, protocols: ["tcp", "udp"] },
    peersOf: (all, own) => peersOf(all, own, degree),
    ...of,
  });
}

/** Every probe of every peer was answered. */
export function answerAll(known: MeshKnowledge, now: Now): void {
  for (const peer of known.book.pairs.keys()) {
    for (const probe of ["tcp-new", "tcp-held", "udp"] as const)
      known.take({ probe: seen(peer, probe, { atMs: now.wallMs }) }, now);
  }
}
