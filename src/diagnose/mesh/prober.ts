import { newRun } from "../../client/payload.ts";
import type { Sockets } from "../../client/sockets.ts";
import { Agenda } from "../agenda.ts";
import { Peer, type PeerAccess } from "./peer.ts";
import { peersOf } from "./ring.ts";
import { type RosterAccess, RosterKeeper } from "./roster.ts";
import type { MeshEvent, MeshQuestion, Roster } from "./seen.ts";

/** What a prober works with, and whom it tells. */
export interface ProberAccess extends Omit<RosterAccess, "changed"> {
  readonly sockets: Sockets;
  emit(event: MeshEvent): void;
}

/** At least so often it looks whose time is up, and whether the process was held up: a deadline is late by no more. */
const LOOK_MS = 25;

const FLOWS = 2 ** 32;

/**
 * Asks a member's peers, again and again, and tells what comes of it; who they are follows the names.
 *
 *     await new Prober(question, access).run(signal);
 */
export class Prober {
  readonly #question: MeshQuestion;
  readonly #emit: (event: MeshEvent) => void;
  readonly #agenda = new Agenda();
  readonly #roster: RosterKeeper;
  readonly #access: PeerAccess;
  readonly #peers = new Map<string, Peer>();

  constructor(question: MeshQuestion, { sockets, emit, ...access }: ProberAccess) {
    this.#question = question;
    this.#emit = emit;
    this.#roster = new RosterKeeper(question, { ...access, changed: (roster) => this.#follow(roster) });
    const run = newRun();
    let flow = 0;
    const newKey = () => ({ run, flow: flow++ % FLOWS });
    const tell: PeerAccess["tell"] = (probe) => emit({ probe });
    this.#access = { question, sockets, agenda: this.#agenda, newKey, tell };
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    const end = (): void => this.#agenda.end();
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    this.#agenda.onAwake = (nowMs) => {
      for (const peer of this.#peers.values()) peer.look(nowMs);
    };
    this.#agenda.every(startMs, LOOK_MS, () => {});
    this.#agenda.every(startMs, this.#question.intervalMs, () => this.#roster.ask());
    await this.#agenda.run();
    signal.removeEventListener("abort", end);
    this.#roster.end();
    for (const peer of this.#peers.values()) peer.end();
    this.#peers.clear();
  }

  /** Leaves those who have gone, and begins with those who came. */
  #follow(roster: Roster): void {
    this.#emit({ roster });
    const { addresses, own } = roster;
    const peers = peersOf(addresses, own, this.#question.degree);
    for (const [address, peer] of this.#peers) {
      if (peers.includes(address)) continue;
      peer.end();
      this.#peers.delete(address);
    }
    for (const [at, address] of peers.entries()) {
      const peer = this.#peers.get(address) ?? new Peer(address, this.#access);
      this.#peers.set(address, peer);
      peer.move({ own: own!, at, peers: peers.length });
    }
  }
}
