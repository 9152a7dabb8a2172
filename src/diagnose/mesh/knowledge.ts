import { type BookChange, type BookSettings, MeshBook } from "./book.ts";
import { gather, type MissingRow } from "./gather.ts";
import { type MemberNames, type Named, nameMembers } from "./names.ts";
import type { Now } from "./pair.ts";
import type { MeshResult } from "./result.ts";
import { ownRow, type RowFacts } from "./row.ts";
import type { MeshEvent } from "./seen.ts";
import type { ToldRow } from "./told-row.ts";

/**
 * A row that came is shown for so long while the next one does not come: a lost packet is asked again after a second. It
 * is less than three intervals of the default: by then whoever is gone is unknown.
 */
const ROW_KEPT_MS = 2000;

/** What it is made for. */
export interface KnowledgeSettings extends BookSettings {
  readonly self: Named;
  readonly degree: number;
}

/** All that one member knows of the mesh: the book of its own pairs, what others told of themselves, and what all are called. */
export class MeshKnowledge {
  readonly book: MeshBook;
  readonly settings: KnowledgeSettings;
  /** By address: what each member's own prober said. */
  readonly #told = new Map<string, Named>();
  readonly #rows = new Map<string, ToldRow | MissingRow>();
  /** When the latest row of each came, monotonic. */
  readonly #cameMs = new Map<string, number>();
  #names: MemberNames | null = null;

  constructor(settings: KnowledgeSettings) {
    this.settings = settings;
    this.book = new MeshBook(settings);
  }

  get names(): MemberNames {
    this.#names ??= nameMembers(this.book.roster, this.settings.self, this.#told);
    return this.#names;
  }

  /** The members but this one, by address. */
  get others(): readonly string[] {
    const { addresses, own } = this.book.roster;
    return addresses.filter((address) => address !== own);
  }

  take(event: MeshEvent, now: Now): BookChange[] {
    const changes = this.book.take(event, now);
    if ("roster" in event) this.#forgetGone();
    return changes;
  }

  /**
   * A member's prober has told its row. Under another name than before it is another Pod, and what was counted of this
   * address begins anew.
   */
  takeRow(address: string, row: ToldRow, now: Now): void {
    if (!this.others.includes(address)) return; // it has gone meanwhile
    this.#rows.set(address, row);
    this.#cameMs.set(address, now.ms);
    const { self: name, node } = row;
    const before = this.#told.get(address);
    if (before?.name === name && before.node === node) return;
    this.#told.set(address, { name, node });
    this.#names = null;
    if (before !== undefined && before.name !== name) this.book.renew(address, now);
  }

  /** A member's row did not come. */
  missRow(address: string, why: string, now: Now): void {
    if (!this.others.includes(address)) return;
    const before = this.#rows.get(address);
    const sinceWallMs = before !== undefined && "why" in before ? before.sinceWallMs : now.wallMs;
    this.#rows.set(address, { why, sinceWallMs });
    this.#cameMs.delete(address);
  }

  /** Why a member's row did not come; null where it is there, or nobody asked for it. */
  whyMissing(address: string): string | null {
    const row = this.#rows.get(address);
    return row !== undefined && "why" in row ? row.why : null;
  }

  ownRow(now: Now): MeshResult {
    return ownRow(this.#facts(), now);
  }

  /** With the latest row of each, unless that is old. */
  matrix(now: Now): MeshResult {
    for (const [address, atMs] of this.#cameMs) {
      if (now.ms - atMs > ROW_KEPT_MS) this.missRow(address, "its prober has not answered yet", now);
    }
    return gather({ ...this.#facts(), rows: this.#rows, degree: this.settings.degree }, now);
  }

  #facts(): RowFacts {
    const { self, protocols, intervalMs } = this.settings;
    return { book: this.book, names: this.names, self, protocols, intervalMs };
  }

  #forgetGone(): void {
    this.#names = null;
    const present = new Set(this.others);
    for (const known of [this.#told, this.#rows, this.#cameMs]) {
      for (const address of known.keys()) if (!present.has(address)) known.delete(address);
    }
  }
}
