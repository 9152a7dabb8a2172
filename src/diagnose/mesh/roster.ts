import { formatAddress, isIPv4, isLoopback, isUnicast, parseAddress } from "../../net/address.ts";
import { type OwnAddress, ownAddresses } from "../interfaces.ts";
import { type Lookup, type Resolution, resolutionText, resolveName, systemLookup } from "../resolve.ts";
import { type Family, familyOf } from "../targets.ts";
import { Believed } from "./believed.ts";
import { ringOf } from "./ring.ts";
import type { MeshQuestion, Roster } from "./seen.ts";

/** A resolver that has not said anything by then does not answer; it may be late by more than a lost packet's second try. */
const ANSWER_MS = 2000;

/** What a roster is made of. */
export interface RosterAccess {
  changed(roster: Roster): void;
  /** Default: the machine's resolver, whose answers Bun keeps for nobody: each question is a new one. */
  readonly lookup?: Lookup;
  /** Default: of its interfaces. */
  readonly own?: () => readonly Pick<OwnAddress, "address">[];
}

/**
 * Who there is: asks for the names again and again, and tells when the answer is another one. One question is under way
 * for the mesh's name and one for a member's, so a resolver that is slow or dead has no more than two of this process,
 * and takes two threads of it and no time of the probes'.
 */
export class RosterKeeper {
  readonly #question: MeshQuestion;
  readonly #access: RosterAccess;
  readonly #lookup: Lookup;
  readonly #found = new Believed();
  #own: string | null;
  #unresolved: string | null = null;
  readonly #named: ReadonlyMap<string, Believed>;
  /** The member whose turn it is. */
  #next = 0;
  #isAskingName = false;
  #isAskingMembers = false;
  /** Whether there was an answer to the first question, or none in time. */
  #isNameKnown = false;
  #areMembersKnown: boolean;
  #told = "";
  #over = false;

  constructor(question: MeshQuestion, access: RosterAccess) {
    this.#question = question;
    this.#access = access;
    this.#lookup = oneAtATime(access.lookup ?? systemLookup);
    this.#own = question.address === null ? null : canonical(question.address);
    this.#named = new Map(question.members.map((name) => [name, new Believed()]));
    this.#areMembersKnown = question.members.length === 0;
  }

  /** It is time to ask again. What is under way is waited for. */
  ask(): void {
    if (!this.#isAskingName) void this.#askName();
    if (!this.#isAskingMembers && this.#named.size > 0) void this.#askMembers();
  }

  /** Tells no more. */
  end(): void {
    this.#over = true;
  }

  /** The only version to ask for: a question for both is two, which leave at once from one port. Null while it is not known. */
  get #family(): Family | null {
    const own = this.#own === null ? null : parseAddress(this.#own);
    return this.#question.family ?? (own === null ? null : familyOf(own));
  }

  async #askName(): Promise<void> {
    const { name } = this.#question;
    this.#isAskingName = true;
    const family = this.#family;
    const answer = await this.#resolve(name, family);
    this.#isAskingName = false;
    this.#isNameKnown = true;
    if (answer.kind === "unknown" || this.#found.take(addressesOf(answer)))
      this.#unresolved = answer.kind === "found" ? null : resolutionText(name, answer, family);
    if (this.#question.address === null) this.#findOwn();
    this.#tell();
  }

  /** Asks for one member after the other. The round ends with one that is not answered: the next one is asked next time. */
  async #askMembers(): Promise<void> {
    this.#isAskingMembers = true;
    const named = [...this.#named];
    for (let asked = 0; asked < named.length && !this.#over; asked++) {
      const [name, believed] = named[this.#next++ % named.length]!;
      const answer = await this.#resolve(name, this.#family);
      if (answer.kind === "unknown") break; // what it had before still counts
      believed.take(ofOneVersion(addressesOf(answer), null));
    }
    this.#isAskingMembers = false;
    this.#areMembersKnown = true;
    this.#tell();
  }

  #resolve(name: string, family: Family | null): Promise<Resolution> {
    return resolveName(name, family, { lookup: this.#lookup, timeoutMs: ANSWER_MS, askOther: false });
  }

  /** This machine's address among the name's, IPv4 first; one that it had before stays for as long as the machine has it. */
  #findOwn(): void {
    const found = this.#found.addresses;
    if (this.#own !== null && found.includes(this.#own)) return;
    const here = (this.#access.own ?? ownAddresses)().map(({ address }) => canonical(address));
    if (this.#own !== null && here.includes(this.#own)) return;
    const own = found.filter((address) => here.includes(address));
    this.#own = ofOneVersion(own, null)[0] ?? null;
  }

  #tell(): void {
    if (this.#over || !this.#isNameKnown || !this.#areMembersKnown) return;
    const roster = this.#roster();
    const text = JSON.stringify(roster);
    if (text === this.#told) return;
    this.#told = text;
    this.#access.changed(roster);
  }

  /** While a Pod is replaced its name may have two addresses: it is there if one of them is a member's. */
  #memberOf(has: readonly string[], found: readonly string[]): string | null {
    return has.find((address) => address === this.#own || found.includes(address)) ?? has[0] ?? null;
  }

  #roster(): Roster {
    const found = ofOneVersion(othersOf(this.#found.addresses, this.#own), this.#family);
    return {
      ...ringOf(found, this.#own, this.#question.membersMax),
      own: this.#own,
      named: [...this.#named].map(([name, { addresses }]) => ({
        name,
        address: this.#memberOf(addresses, found),
      })),
      unresolved: this.#unresolved,
    };
  }
}

/** As this program writes an address. */
function canonical(text: string): string {
  const address = parseAddress(text);
  return address === null ? text : formatAddress(address);
}

/** What cannot be a member's (`0.0.0.0` would be asked here, and answered by this machine) is left out. */
function addressesOf(answer: Resolution): string[] {
  if (answer.kind !== "found") return [];
  return answer.addresses
    .filter(({ address }) => isUnicast(address))
    .map(({ address }) => formatAddress(address));
}

/** Without those that would be this machine itself under another's name: its loopback, where it has another address. */
function othersOf(found: readonly string[], own: string | null): readonly string[] {
  const isHere = (text: string): boolean => isLoopback(parseAddress(text)!);
  return own === null || isHere(own) ? found : found.filter((text) => !isHere(text));
}

/** Addresses of that version, else of IPv4, or of IPv6 where there is no other; by their text, whatever order they came in. */
function ofOneVersion(texts: readonly string[], family: Family | null): string[] {
  const of = (wanted: Family): string[] =>
    texts.filter((text) => (isIPv4(parseAddress(text)!) ? 4 : 6) === wanted).sort();
  if (family !== null) return of(family);
  const ipv4 = of(4);
  return ipv4.length > 0 ? ipv4 : of(6);
}

/** Asks no question again that is under way: who asks then waits for its answer. */
function oneAtATime(lookup: Lookup): Lookup {
  const underWay = new Map<string, Promise<readonly string[]>>();
  return (host, family) => {
    const question = `${family} ${host}`;
    const asked = underWay.get(question);
    if (asked !== undefined) return asked;
    const answer = lookup(host, family).finally(() => underWay.delete(question));
    underWay.set(question, answer);
    return answer;
  };
}
