import { expect, test } from "bun:test";
import type { ProbeSeen } from "../../src/diagnose/mesh/seen.ts";
import { until } from "../harness.ts";
import { faultsOf, portsOf } from "../mesh/probe-fixtures.ts";
import { change, iptables } from "./faults.ts";
import { CLIENT, ROUTER, SERVER1, SERVER2 } from "./lab.ts";
import { Probing } from "./mesh/probing.ts";
import { serve } from "./serve.ts";
import { withLab } from "./with-lab.ts";

/** The prober of a mesh against real faults. See `net.ts`. */

const lab = await withLab();

const MEMBERS = [CLIENT, SERVER1, SERVER2];
const hosts = MEMBERS.flatMap(({ v4, v6 }) => [`${v4} mesh`, `${v6} mesh`]).join("\n");
const NAME_SERVER = new URL("./name-server.ts", import.meta.url).pathname;

test.each([
  [null, MEMBERS.map(({ v4 }) => v4)],
  [6, MEMBERS.map(({ v6 }) => v6)],
] as const)(
  "peers behind a router, of one version (%p): who is who is known without a word",
  async (family, [own, ...peers]) => {
    await using probing = new Probing(lab().client, { family }, { hosts });
    await probing.well(...peers);
    expect(probing.rosters).toHaveLength(1);
    expect(probing.rosters[0]).toMatchObject({ own, addresses: { length: 3 } });
    expect(probing.rosters[0]?.addresses.toSorted()).toEqual([own!, ...peers].toSorted());
    expect(faultsOf(probing.probes)).toEqual([null]);
    for (const peer of peers) {
      expect(new Set(probing.of(peer, "udp").map(({ hops }) => hops))).toEqual(new Set([1]));
    }
  },
);

test("a path that drops UDP to one peer: that one's UDP alone is lost", async () => {
  await using probing = new Probing(lab().client, {}, { hosts });
  await probing.well(SERVER1.v4, SERVER2.v4);
  await using _drop = await iptables(lab().router, `-I FORWARD -p udp -d ${SERVER1.v4} --dport 5678 -j DROP`);
  await until("it is lost", () =>
    probing
      .of(SERVER1.v4, "udp")
      .slice(-3)
      .every(({ fault }) => fault === "timeout"),
  );
  expect(faultsOf(probing.of(SERVER1.v4, "tcp-new"))).toEqual([null]);
  expect(faultsOf(probing.of(SERVER1.v4, "tcp-held"))).toEqual([null]);
  expect(faultsOf(probing.of(SERVER2.v4, "udp"))).toEqual([null]);
});

test("a path that forbids a peer says so, and which flow it was", async () => {
  await using probing = new Probing(lab().client, {}, { hosts });
  await probing.well(SERVER1.v4, SERVER2.v4);
  const rule = `-I FORWARD -d ${SERVER1.v4} -j REJECT --reject-with icmp-admin-prohibited`;
  await using _reject = await iptables(lab().router, rule);
  const isForbidden = ({ fault, flow }: ProbeSeen): boolean =>
    fault === "unreachable" && flow?.includes(`${CLIENT.v4}:`) === true;
  await until("new sessions and UDP are told so", () =>
    (["tcp-new", "udp"] as const).every((probe) => isForbidden(probing.of(SERVER1.v4, probe).at(-1)!)),
  );
  expect(faultsOf(probing.of(SERVER2.v4, "udp"))).toEqual([null]);
});

test("a flow that the path holds on to is seen twice, and then another one is asked", async () => {
  await using probing = new Probing(lab().client, {}, { hosts });
  await probing.well(SERVER1.v4, SERVER2.v4);
  const [stuck] = portsOf(probing.of(SERVER1.v4, "udp"));
  await using _stale = await iptables(lab().router, `-I FORWARD -p udp --sport ${stuck} -j DROP`);
  await until("it was lost, and the peer is well by another", () => {
    const probes = probing.of(SERVER1.v4, "udp");
    return probes.at(-1)?.fault === null && portsOf(probes).length === 2;
  });
  const lost = probing.of(SERVER1.v4, "udp").filter(({ fault }) => fault === "timeout");
  expect(lost.length).toBeGreaterThanOrEqual(2);
  expect(portsOf(lost)).toEqual([stuck!]);
});

test("a link that goes down takes all of one peer, and it is well soon after it is up", async () => {
  await using probing = new Probing(lab().client, {}, { hosts });
  await probing.well(SERVER1.v4, SERVER2.v4);
  const down = await change(
    lab().router,
    "ip link set toserver2 down",
    `ip link set toserver2 up
     ip -6 address add fd97:2::1/64 dev toserver2 nodad || true`,
  );
  await probing.until("all of it is lost", SERVER2.v4, 3, ({ fault }) => fault !== null);
  const lostMs = Date.now();
  await down[Symbol.asyncDispose]();
  await probing.well(SERVER2.v4);
  expect(Date.now()).toBeGreaterThan(lostMs);
  expect(faultsOf(probing.of(SERVER1.v4, "tcp-held"))).toEqual([null]);
});

test("a resolver that falls silent delays no probe, its last word stands, and its next one counts", async () => {
  const resolver = `nameserver ${ROUTER.v4}\noptions timeout:1 attempts:2\n`;
  const known = (...addresses: string[]) =>
    serve(lab().router, "udp", 53, process.execPath, NAME_SERVER, `mesh.test=${addresses.join(",")}`);
  const first = await known(CLIENT.v4, SERVER1.v4);
  await using probing = new Probing(lab().client, { name: "mesh.test" }, { resolver });
  await probing.well(SERVER1.v4);
  const mute = await iptables(lab().router, "-I INPUT -p udp --dport 53 -j DROP");
  await until("it is said", () => probing.rosters.at(-1)?.unresolved !== null);
  const told = probing.probes.length;
  await until("probes go on meanwhile", () => probing.probes.length > told + 30);
  expect(probing.rosters.at(-1)?.addresses).toEqual([SERVER1.v4, CLIENT.v4]);
  expect(await mute.packets()).toBeLessThan(20); // not one an interval, and its copies, for each of them
  await first[Symbol.asyncDispose]();
  await using _second = await known(CLIENT.v4, SERVER2.v4);
  await mute[Symbol.asyncDispose]();
  await probing.well(SERVER2.v4);
  expect(probing.rosters.at(-1)).toMatchObject({ addresses: [SERVER2.v4, CLIENT.v4], unresolved: null });
  expect(faultsOf(probing.probes)).toEqual([null]);
});
