/** What the page shows: plain data, as `/page.json` has it. The same functions make HTML of it here and in the browser. */
export interface PageFacts {
  readonly version: 1;
  /** When (ISO 8601), and on a clock that is never set: rates are differences over that. */
  readonly at: string;
  readonly uptimeMs: number;
  /** The Pod, or the host. */
  readonly name: string;
  readonly node: string | null;
  readonly namespace: string | null;
  /** Who this is: label and value, in order. */
  readonly identity: readonly (readonly [string, string])[];
  /** `not_ready`: its own echo failed the last time. */
  readonly state: "serving" | "not_ready" | "draining";
  /** Why, in words. */
  readonly stateText: string;
  readonly addresses: { readonly tcp: readonly string[]; readonly udp: readonly string[] };
  /** One for each protocol that is served; a prober serves none. */
  readonly sessions: readonly SessionFacts[];
  readonly refusals: readonly RefusalFacts[];
  readonly loops: readonly LoopFacts[];
  /** Of all containers of this Pod, newest first; null where none keeps them. */
  readonly clients: readonly ClientFacts[] | null;
  /** The containers of this Pod, this one included; empty where nobody told of others. */
  readonly containers: readonly ContainerFacts[];
  /** Empty outside a cluster. */
  readonly fleet: readonly FleetFacts[];
  /** To be copied into a shell: what to type, and what it does. */
  readonly commands: readonly { readonly text: string; readonly about: string }[];
  /** Whether `/mesh.json?scope=all` has a matrix here. */
  readonly mesh: boolean;
}

/** One protocol's numbers since the start. */
export interface SessionFacts {
  readonly protocol: "TCP" | "UDP";
  readonly active: number;
  readonly opened: number;
  readonly refused: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Sessions refused, datagrams dropped or banners left out, by reason; those that never happened are there with 0. */
export interface RefusalFacts {
  readonly protocol: "TCP" | "UDP";
  readonly what: "refused" | "dropped" | "banner left out";
  readonly reason: string;
  readonly count: number;
  /** One sentence: what it means, and what to do about it. */
  readonly meaning: string;
}

export interface LoopFacts {
  readonly loop: number;
  readonly serves: string;
  /** Since it last turned. */
  readonly heartbeatAgeMs: number;
  /** It has not turned for longer than it ever may: `/livez` says so too. */
  readonly hangs: boolean;
  readonly lagMs: number;
  readonly sessions: number;
}

/** A client address with its latest session. */
export interface ClientFacts extends ToldClient {
  /** The member of the fleet that it is; null for all others. */
  readonly member: string | null;
}

/** The same, as the container tells it that it was a client of. */
export interface ToldClient {
  /** When the latest session began (ISO 8601). */
  readonly at: string;
  /** `ip:port` */
  readonly client: string;
  readonly protocol: "TCP" | "UDP";
  /** Sessions of this address since it is in the list, and the bytes they brought so far. */
  readonly sessions: number;
  readonly bytes: number;
  readonly open: boolean;
}

/** What a container says of its clients alone, as `/clients.json` has it: it is for the page of the one beside it. */
export interface ToldClients {
  readonly version: 1;
  /** Newest first; null where they are not kept. */
  readonly clients: readonly ToldClient[] | null;
}

export interface ContainerFacts {
  readonly name: string;
  readonly port: number;
  readonly self: boolean;
  /** Null: it did not answer. */
  readonly state: PageFacts["state"] | null;
  /** When it said so, on its own clock: some time ago, and the same as before where nobody has asked it since. */
  readonly uptimeMs: number | null;
  readonly sessions: readonly SessionFacts[];
}

export interface FleetFacts {
  /** The name in DNS; of a member without one, its Pod's, else its address. */
  readonly name: string;
  readonly node: string | null;
  readonly addresses: readonly string[];
  /** Null: it did not say. */
  readonly state: PageFacts["state"] | null;
  readonly self: boolean;
}

/** What a server says of itself alone, as `/self.json` has it: those who ask it are other pages. */
export interface SelfFacts {
  readonly version: 1;
  readonly name: string;
  readonly node: string | null;
  readonly state: PageFacts["state"];
  readonly uptimeMs: number;
  readonly sessions: readonly SessionFacts[];
}
