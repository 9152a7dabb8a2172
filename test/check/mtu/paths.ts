import { findingsOf, type MtuFindings } from "../../../src/diagnose/check/mtu/findings.ts";
import type { Look, Probe } from "../../../src/diagnose/check/mtu/look.ts";
import { type Swept, sweep } from "../../../src/diagnose/check/mtu/sweep.ts";
import { parseAddress } from "../../../src/net/address.ts";
import { endpoint } from "../../client/fixtures.ts";

/** A path as it is in the tests of sizes: what a datagram of some size meets, by the rules of IP and of Linux. */
export interface ModelPath {
  readonly ipv6: boolean;
  /** MTU of the client's interface, of the server's, and of the narrowest link each way. */
  readonly client: number;
  readonly server: number;
  readonly there: number;
  readonly back: number;
  /** Whether the router before the narrow link says so. */
  readonly icmpThere: boolean;
  readonly icmpBack: boolean;
  /** Whether the server sends banners, and whether its echoes leave with don't-fragment where they fit its link. */
  readonly banners: boolean;
  readonly serverSetsDf: boolean;
  readonly fragmentsThere: boolean;
  readonly fragmentsBack: boolean;
  /** Payload sizes that are lost whatever happens. */
  readonly holesThere: readonly (readonly [number, number])[];
  readonly holesBack: readonly (readonly [number, number])[];
  /** Share of packets that are lost at random, each way. */
  readonly loss: number;
  /** Of what is random, 1 to 2^31 - 2. */
  readonly seed: number;
}

export const WELL: ModelPath = {
  ipv6: false,
  client: 1500,
  server: 1500,
  there: 1500,
  back: 1500,
  icmpThere: true,
  icmpBack: true,
  banners: true,
  serverSetsDf: false,
  fragmentsThere: true,
  fragmentsBack: true,
  holesThere: [],
  holesBack: [],
  loss: 0,
  seed: 1,
};

/** A server of another kind: its sockets are as Linux makes them, and it sends a banner or none. */
export const OTHER: Partial<ModelPath> = { serverSetsDf: true };
export const PLAIN: Partial<ModelPath> = { ...OTHER, banners: false };
/** Routers that say nothing. */
export const SILENT: Partial<ModelPath> = { icmpThere: false, icmpBack: false };

const ROUTER = parseAddress("10.0.0.1")!;

export function headersOf({ ipv6 }: ModelPath): number {
  return ipv6 ? 48 : 28;
}

/** The largest fragment of a datagram that is cut to an MTU. */
export function fragmentOf(mtu: number, ipv6: boolean): number {
  const headers = ipv6 ? 48 : 20;
  return headers + Math.floor((mtu - headers) / 8) * 8;
}

const isIn = (holes: ModelPath["holesThere"], size: number): boolean =>
  holes.some(([from, to]) => from <= size && size <= to);

/** A way's end for one datagram: it passes whole (0), in fragments of so many bytes, is lost, or lost and told. */
type Passage = number | "lost" | "told";

/** How a packet fares that leaves whole over a narrow link. */
function whole(path: ModelPath, way: "there" | "back", packet: number, dontFragment: boolean): Passage {
  const narrow = path[way];
  if (packet <= narrow) return 0;
  const [icmp, fragments] =
    way === "there" ? [path.icmpThere, path.fragmentsThere] : [path.icmpBack, path.fragmentsBack];
  if (dontFragment || path.ipv6) return icmp ? "told" : "lost";
  return fragments ? fragmentOf(narrow, path.ipv6) : "lost";
}

/** How a packet fares that its sender cuts to `mtu`. */
function cut(path: ModelPath, way: "there" | "back", mtu: number): Passage {
  const narrow = path[way];
  const passes = way === "there" ? path.fragmentsThere : path.fragmentsBack;
  if (!passes) return "lost";
  const largest = fragmentOf(mtu, path.ipv6);
  if (largest <= narrow) return largest;
  if (path.ipv6) return (way === "there" ? path.icmpThere : path.icmpBack) ? "told" : "lost";
  return fragmentOf(narrow, path.ipv6);
}

/** The path with all that it remembers: who was told that it is narrow. */
export class Model {
  readonly path: ModelPath;
  #clientKnows = false;
  #serverKnows = false;
  #state: number;

  constructor(path: ModelPath) {
    this.path = path;
    this.#state = path.seed;
  }

  readonly probe: Probe = async (size, { dontFragment, tries }) => {
    await Promise.resolve();
    let told = false;
    let banner = false;
    let failed = 0;
    for (let tried = 0; tried < tries; tried++) {
      const there = this.#there(size, dontFragment);
      if (there === "here") return this.#look({ there });
      if (there === "told") {
        told = true;
        this.#clientKnows = true;
        if (dontFragment) break;
        continue;
      }
      failed++;
      if (there === "lost" || this.#hasBadLuck(size)) continue;
      banner ||= this.path.banners;
      const back = this.#back(size);
      if (back === "told") this.#serverKnows = true;
      if (typeof back === "string" || this.#hasBadLuck(size)) continue;
      const came = { back: back === 0 ? "whole" : "cut", fragmentBytes: back } as const;
      return this.#look({ there: "passed", ...came, failed: failed - 1 });
    }
    if (banner) return this.#look({ there: "passed", back: "lost", failed });
    if (told) return this.#look({ there: "told", told: { mtu: this.path.there, by: ROUTER }, failed });
    return this.#look({ there: this.path.banners ? "lost" : "unknown", failed });
  };

  /** Whether one of a datagram's packets is lost at random. */
  #hasBadLuck(size: number): boolean {
    const packets = Math.ceil((size + headersOf(this.path)) / this.path.client);
    return this.#random() >= (1 - this.path.loss) ** packets;
  }

  /** 0 to 1: Park and Miller, 1988. */
  #random(): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state / 2_147_483_647;
  }

  #look(look: Partial<Look>): Look {
    return {
      there: "unknown",
      back: "unknown",
      fragmentBytes: 0,
      told: null,
      failed: 0,
      flow: "udp a > b",
      ...look,
    };
  }

  #there(size: number, dontFragment: boolean): Passage | "here" {
    const { path } = this;
    const packet = size + headersOf(path);
    if (dontFragment && packet > path.client) return "here";
    if (isIn(path.holesThere, size)) return "lost";
    if (dontFragment) return whole(path, "there", packet, true);
    const mtu = this.#clientKnows ? Math.min(path.client, path.there) : path.client;
    return packet <= mtu ? whole(path, "there", packet, false) : cut(path, "there", mtu);
  }

  #back(size: number): Passage {
    const { path } = this;
    if (isIn(path.holesBack, size)) return "lost";
    const packet = size + headersOf(path);
    const heeds = path.ipv6 || path.serverSetsDf;
    const mtu = heeds && this.#serverKnows ? Math.min(path.server, path.back) : path.server;
    return packet <= mtu ? whole(path, "back", packet, path.serverSetsDf) : cut(path, "back", mtu);
  }
}

const NOTHING: Swept = { known: new Map(), measurableUpTo: 65_507, loss: { packets: 0, lost: 0 } };

export interface Found extends MtuFindings {
  readonly swept: Swept | null;
  /** Each size asked, as often as it was asked. */
  readonly sizes: readonly number[];
  readonly asked: number;
}

/**
 * What is found of a path.
 * @param hint the interface's MTU as it is known; default: as it is
 * @param change what becomes of an answer
 */
export async function find(
  changes: Partial<ModelPath>,
  hint?: number | null,
  change: (look: Look, size: number) => Look = (look) => look,
): Promise<Found> {
  const path = { ...WELL, ...changes };
  const model = new Model(path);
  const kind = { headers: headersOf(path), ipv6: path.ipv6 };
  const limits = { progress() {}, isOver: () => false };
  const sizes: number[] = [];
  const probe: Probe = async (size, how) => {
    sizes.push(size);
    return change(await model.probe(size, how), size);
  };
  const swept = await sweep(probe, kind, hint === undefined ? path.client : hint, limits);
  const ends = { own: endpoint("10.0.0.9:0"), target: endpoint("10.0.0.7:5678") };
  const findings = findingsOf(swept ?? NOTHING, kind, { banners: path.banners, tellsFragments: true }, ends);
  return { ...findings, swept, sizes, asked: sizes.length };
}
