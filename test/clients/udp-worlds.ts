import { expect } from "bun:test";
import { type Address, formatAddress } from "../../src/net/address.ts";
import { lastClients } from "../../src/state/last-clients.ts";
import { takeBackUdpEnd, tellUdpEnd } from "../../src/state/probe-end.ts";
import { CONTROL } from "../../src/state/shared.ts";
import { ip } from "../rules/fixtures.ts";
import { sendForged } from "./raw-udp.ts";
import { endName, SyncUdp } from "./sync-udp.ts";
import { faultKernel, Hands } from "./udp-hands.ts";
import { type Due, Model } from "./udp-model.ts";

/**
 * The UDP loop of the Linux engine, turn by turn on real sockets, against a model that knows nothing of batches: any mix of
 * clients and addresses, of kernels that take no more in the midst of a batch, or refuse one. Each datagram comes back once, to
 * who sent it, from where it went, and is counted once.
 */

export const EAGAIN = 11;
const EPERM = 1;
const IDLE_MS = 5000;

/** Numbers that look random, the same for one seed (mulberry32). */
function numbersOf(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export interface World {
  readonly hosts: readonly string[];
  readonly banner: boolean;
  readonly rate: number;
  /** Of 100 sending calls, how many the kernel does not take or takes a part of, and how many it refuses. */
  readonly faults: number;
  readonly refusals: number;
  /** Addresses of this host to send to over IPv6, where the server listens on all of them. */
  readonly locals6: readonly string[];
}

/** Runs one world;  every round is a burst, and all that comes of it. */
export function runWorld(world: World, seed: number, rounds: number): void {
  const below = numbersOf(seed);
  const oneOf = <T>(all: readonly T[]): T => all[below(all.length)]!;
  const isV6 = (text: string): boolean => text.includes(":");
  const wildcard = world.hosts.some((host) => host === "::" || host === "0.0.0.0");
  const hearsV6 = world.hosts.some(isV6);
  const hearsV4 = world.hosts.some((host) => !isV6(host) || host === "::");
  // Of two sockets, which are read one after the other, none knows who came first to the last place.
  const maxUdpSessions = hearsV4 && hearsV6 ? 50 : oneOf([3, 50]);
  const names = [
    ...(hearsV4 ? ["127.0.0.1", "127.0.0.1", "127.0.0.9", "127.0.0.9", "127.9.0.1"] : []),
    ...(hearsV6 ? ["::1", ...world.locals6] : []),
  ];
  using cleanup = new DisposableStack();
  const clients: SyncUdp[] = [];
  for (const [at, name] of names.entries()) {
    const isFirstOfAddress = names.indexOf(name) === at;
    const port = isFirstOfAddress ? (clients[0]?.port ?? 0) : 0; // one port on many addresses, many ports on one
    clients.push(cleanup.use(new SyncUdp(ip(name), port)));
  }
  const blocked = clients[1]!;
  const blockedPorts = [blocked.port];
  const hands = cleanup.use(
    new Hands(world.hosts, {
      udpIdleTimeoutMs: IDLE_MS,
      maxUdpSessions,
      banner: world.banner,
      udpRatePerClient: world.rate,
      udpBlockedSourcePorts: blockedPorts,
    }),
  );
  const model = new Model(world.banner, blockedPorts, maxUdpSessions, IDLE_MS);
  const locals4 = wildcard
    ? ["127.0.0.1", "127.0.0.2", "127.7.7.7"]
    : world.hosts.filter((host) => !isV6(host));
  const locals6 = wildcard ? world.locals6 : world.hosts.filter(isV6);
  const banners = new Map<SyncUdp, Map<string, Buffer>>();
  let sent = { datagrams: 0, bytes: 0 };
  let missing = 0;
  let number = 0;

  faultKernel((count) => {
    const dice = below(100);
    if (dice < world.refusals) return { errno: EPERM };
    if (dice >= world.refusals + world.faults) return count;
    return below(2) === 0 ? { errno: EAGAIN } : 1 + below(count);
  });

  for (let round = 0; round < rounds; round++) {
    const due = new Map<SyncUdp, Due[]>(clients.map((client) => [client, []]));
    model.probe = below(6) === 0 ? oneOf(clients) : null;
    if (model.probe !== null) tellUdpEnd(hands.tables, model.probe.address, model.probe.port);
    if (round > rounds * 0.9) {
      model.isDraining = true;
      Atomics.store(new Int32Array(hands.tables.control), CONTROL.draining, 1);
    }
    // A socket of one family keeps the order of what it was sent; sockets are read one after the other.
    const isPlain = below(3) === 0; // no two alike in a row, and nothing else between: the most common batch there is
    for (let bursts = below(isPlain ? 150 : 20); bursts > 0; bursts--) {
      const client = oneOf(clients);
      const is6 = isV6(formatAddress(client.address));
      const to = ip(oneOf(is6 ? locals6 : locals4));
      const length = oneOf([0, 1, 8, 64, 64, 64, 200, 1472, 1473, below(60) === 0 ? 65_507 : 90]);
      const from = endName(to, hands.port);
      const kind = isPlain ? -1 : below(24);
      const again = banners.get(client)?.get(from);
      if (kind === 0 && wildcard && !is6) {
        client.send(ip("127.255.255.255"), hands.port, Buffer.alloc(length));
        model.drop("broadcast", length);
      } else if (kind === 1 && hearsV4) {
        const target = oneOf(locals4);
        const port = oneOf([0, hands.port]);
        const source = formatAddress(
          oneOf(clients.filter((other) => !isV6(formatAddress(other.address)))).address,
        );
        sendForged({ address: source, port }, { address: target, port: hands.port }, Buffer.alloc(5));
        model.drop(port === 0 ? "source_port_zero" : "own_port", 5);
      } else if (kind === 2 && again !== undefined) {
        client.send(to, hands.port, again);
        due.get(client)!.push(...model.receive(client, from, again, true));
      } else {
        for (let count = isPlain ? 1 : 1 + below(oneOf([1, 3, 30])); count > 0; count--) {
          const payload = Buffer.alloc(length, 1 + (number++ % 250));
          if (length >= 8) payload.writeUInt32LE(number, 0);
          client.send(to, hands.port, payload);
          due.get(client)!.push(...model.receive(client, from, payload, false));
        }
      }
    }
    for (let turns = 0; turns < 300; turns++) hands.turn();
    if (model.probe !== null) takeBackUdpEnd(hands.tables);

    for (const client of clients) missing += take(client, due.get(client)!, round);
    expect({ ...model.counts, missing }).toEqual({
      datagrams: hands.count("udpReceivedDatagrams"),
      bytes: hands.count("udpReceivedBytes"),
      opened: hands.count("udpOpened"),
      sessionless: hands.count("udpSessionless"),
      refused: hands.count("udpRefused"),
      missing: hands.drops()["send_failed"] ?? 0,
    });
    expect(hands.drops()).toEqual({ ...model.drops, ...(missing > 0 ? { send_failed: missing } : {}) });
    expect({
      datagrams: hands.count("udpSentDatagrams"),
      bytes: hands.count("udpSentBytes"),
      active: hands.udp.rules.active,
    }).toEqual({ ...sent, active: model.sessions.size });
    expect(seenBy(hands)).toEqual(expectedClients());

    let pass = oneOf([0, 1, 400, 1100, 2600, 9000]);
    while (pass > 0 && model.isUnclear(model.nowMs + pass)) pass += 50;
    model.pass(pass);
    for (let left = pass; left > 0; left -= 10) {
      hands.clock.advance(Math.min(10, left));
      hands.udp.rules.sweep();
    }
  }

  /** Takes what came to a client, which must be what was due; returns how many did not come. */
  function take(client: SyncUdp, due: readonly Due[], round: number): number {
    const arrived = client.receiveAll();
    let lost = 0;
    let at = 0;
    for (const expected of due) {
      const is = arrived[at];
      if (is !== undefined && is.from === expected.from && isIt(client, expected, is.bytes)) {
        at++;
        if (expected.isSure) sent = { datagrams: sent.datagrams + 1, bytes: sent.bytes + is.bytes.length };
      } else if (expected.isSure) lost++;
    }
    if (at < arrived.length) {
      const { from, bytes } = arrived[at]!;
      throw new Error(`seed ${seed}, round ${round}: ${bytes.length} bytes from ${from} were not due`);
    }
    return lost;
  }

  function isIt(client: SyncUdp, { bytes, from }: Due, is: Buffer): boolean {
    if (bytes !== null) return is.equals(bytes);
    const ends = [from, endName(client.address, client.port)].map(shown);
    const isBanner = is.toString("latin1").endsWith(`\nServer: ${ends[0]}\nClient: ${ends[1]}\n\n`);
    if (isBanner) banners.set(client, (banners.get(client) ?? new Map()).set(from, is));
    return isBanner;
  }

  function expectedClients(): unknown[] {
    const open = model.open();
    return [...model.seen]
      .map(([address, { sessions, bytes }]) => {
        const { a0, a1, a2, a3 } = ip(address);
        return { address, sessions, bytes, open: open.has([a0, a1, a2, a3].join()) };
      })
      .sort((a, b) => a.address.localeCompare(b.address));
  }
}

function shown(end: string): string {
  const [a0, a1, a2, a3, port] = end.split(",").map(Number);
  const address: Address = { a0: a0!, a1: a1!, a2: a2!, a3: a3! };
  const text = formatAddress(address);
  return text.includes(":") ? `[${text}]:${port}` : `${text}:${port}`;
}

function seenBy(hands: Hands): unknown[] {
  return lastClients(hands.tables)!
    .map(({ client, sessions, bytes, open }) => ({
      address: formatAddress(client.address),
      sessions,
      bytes,
      open,
    }))
    .sort((a, b) => a.address.localeCompare(b.address));
}
