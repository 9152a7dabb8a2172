import type { MeshKnowledge } from "../../diagnose/mesh/knowledge.ts";
import type { MeshResult } from "../../diagnose/mesh/result.ts";
import { plural, timeText } from "../../diagnose/words.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { PageFacts, SelfFacts } from "../../page/facts.ts";
import { version } from "../../version.ts";
import { cached } from "../cached.ts";
import { paced } from "../paced.ts";
import type { PageSource } from "../page-routes.ts";

/** Own rows are put together at most so often: one who asks in a loop takes nothing from the others. */
const ROW_INTERVAL_MS = 100;

/** How old a matrix may be: many who look at it are one reader to the members. */
const MATRIX_MS = 1000;

/** What the page of a prober is made of. */
export interface ProberPageFacts {
  readonly known: MeshKnowledge;
  /** Where admin listens. */
  bound(): readonly Endpoint[];
  ownRow(): MeshResult;
  /** Asks every member for its row first. */
  matrix(): Promise<MeshResult>;
}

/** A prober's page: the matrix, and who it is that shows it. */
export function proberPage({ known, bound, ownRow, matrix }: ProberPageFacts): PageSource {
  const own = paced(async () => ownRow(), ROW_INTERVAL_MS);
  const all = cached(matrix, { freshMs: MATRIX_MS, staleMs: MATRIX_MS });
  const self = selfFacts(known);
  return {
    self: async () => self,
    mesh: (scope) => (scope === "all" ? all() : own()),
    facts: async () => ({
      ...self,
      at: new Date().toISOString(),
      uptimeMs: Math.round(performance.now()),
      namespace: null,
      identity: identityOf(known, bound()),
      stateText: stateText(known),
      addresses: { tcp: [], udp: [] },
      ...{ refusals: [], loops: [], clients: null, containers: [], fleet: [], commands: [] },
      mesh: true,
    }),
  };
}

function selfFacts({ settings }: MeshKnowledge): SelfFacts {
  const { name, node } = settings.self;
  return { version: 1, name, node, state: "serving", sessions: [] };
}

function stateText({ book }: MeshKnowledge): string {
  const { addresses, own, unresolved } = book.roster;
  if (unresolved !== null) return `its peers' name is not resolved: ${unresolved}`;
  if (own === null) return "it does not know its own address, and asks nobody";
  return `it asks ${book.pairs.size} of ${plural(addresses.length, "member")}`;
}

function identityOf({ book, settings }: MeshKnowledge, bound: readonly Endpoint[]): PageFacts["identity"] {
  const { self, protocols, intervalMs, timeoutMs, degree } = settings;
  const asks = `each peer by ${protocols.join(" and ").toUpperCase().replace(" AND ", " and ")} every ${timeText(intervalMs)}, for ${timeText(timeoutMs)}, ${plural(degree, "peer")} at most`;
  const known: [string, string | null][] = [
    ["Name", self.name],
    ["Node", self.node],
    ["Address", book.roster.own],
    ["Version", `${version} (Bun ${Bun.version})`],
    ["Asks", asks],
    ["Admin", bound.map(formatEndpoint).join(" ")],
  ];
  return known.filter((entry): entry is [string, string] => entry[1] !== null);
}
