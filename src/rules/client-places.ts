import type { Address } from "../net/address.ts";
import { type ClientRefusal, ClientTable } from "../state/clients.ts";
import type { Clock } from "../state/clock.ts";
import { SeenClients } from "../state/seen-clients.ts";
import type { SharedTables } from "../state/shared.ts";

/** Whose each session of a loop is: for the cap of sessions per client, where there is one, and for the clients seen last. */
export class ClientPlaces {
  readonly #table: ClientTable | null;
  readonly #loop: number;
  readonly #max: number;
  /** Words of the client's address by slot, and whether the session has a place. */
  readonly #client: Int32Array;
  readonly #taken: Uint8Array;
  readonly #seen: SeenClients;

  /** @param max sessions of one client at once, in all loops; 0: unlimited */
  constructor(tables: SharedTables, loop: number, slots: number, max: number, clock: Clock) {
    this.#table = max > 0 ? new ClientTable(tables) : null;
    this.#loop = loop;
    this.#max = max;
    this.#client = new Int32Array(max > 0 ? slots * 4 : 0);
    this.#taken = new Uint8Array(max > 0 ? slots : 0);
    this.#seen = new SeenClients(tables, loop, "tcp", slots, clock);
  }

  /** By slot, the bytes that the session brought. */
  get broughtBytes(): Float64Array {
    return this.#seen.bytes;
  }

  /**
   * The session is that client's from now on, whoever's it was before: takes a place for it, where it has none. Null,
   * or why there is none to be had.
   */
  take(slot: number, client: Address, port: number): ClientRefusal | null {
    const refusal = this.#takePlace(slot, client);
    if (refusal !== null) return refusal;
    this.#seen.disown(slot);
    this.#seen.begin(slot, client, port);
    return null;
  }

  #takePlace(slot: number, client: Address): ClientRefusal | null {
    if (this.#table === null) return null;
    const refusal = this.#table.enter(client, this.#loop, this.#max);
    if (refusal !== null) return refusal;
    this.#client.set([client.a0, client.a1, client.a2, client.a3], slot * 4);
    this.#taken[slot] = 1;
    return null;
  }

  /** The session ends. */
  end(slot: number): void {
    this.leave(slot);
    this.#seen.end(slot);
  }

  /** Gives the session's place back, if it has one. */
  leave(slot: number): void {
    if (this.#table === null || this.#taken[slot] === 0) return;
    this.#taken[slot] = 0;
    const [a0, a1, a2, a3] = this.#client.subarray(slot * 4, slot * 4 + 4);
    this.#table.leave({ a0: a0!, a1: a1!, a2: a2!, a3: a3! }, this.#loop);
  }
}
