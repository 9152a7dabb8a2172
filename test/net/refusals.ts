import { describe, expect, test } from "bun:test";
import { Host } from "../clients/network.ts";
import { checkOne, ONCE, problemOf, problemsOf, QUICK } from "./check.ts";
import { type Fault, ip6tables, iptables, route, sysctl } from "./faults.ts";
import { CLIENT, type Lab, NOBODY, ROUTER, SERVER1, VIRTUAL } from "./lab.ts";

/** Nobody there, or no way there: refused, unreachable and dropped are told apart, and by whom. */

const tcp = `tcp://${SERVER1.v4}`;
const udp = `udp://${SERVER1.v4}`;
const tcp6 = `tcp://[${SERVER1.v6}]`;
const udp6 = `udp://[${SERVER1.v6}]`;

/** A flow's text, whatever its port here. */
function flowTo(protocol: "tcp" | "udp", target: string): RegExp {
  const v6 = target.startsWith("[");
  const own = v6 ? `[${CLIENT.v6}]` : CLIENT.v4;
  return new RegExp(`^${protocol} ${RegExp.escape(own)}:\\d+ > ${RegExp.escape(target)}$`);
}

export function refusalTests(lab: () => Lab): void {
  describe("refused", () => {
    test("by a reset: who sent it nobody tells", async () => {
      const result = await checkOne(lab().client, [`${tcp}:9`, ...QUICK]);
      expect(problemsOf(result)).toEqual(["refused"]);
      const problem = problemOf(result, "refused");
      expect(problem).toMatchObject({ by: null, where: "far_end" });
      expect(problem.flow).toMatch(flowTo("tcp", `${SERVER1.v4}:9`));
      expect(result).toMatchObject({ flowsAnswered: 0, received: 0, rttMs: null, servers: null });
    });

    test.each([
      [SERVER1.v4, `${SERVER1.v4}:9`],
      [SERVER1.v6, `[${SERVER1.v6}]:9`],
    ])("by the host itself, over UDP, %s", async (by, end) => {
      const result = await checkOne(lab().client, [`udp://${end}`, ...ONCE]);
      expect(problemsOf(result)).toEqual(["refused"]);
      expect(problemOf(result, "refused")).toMatchObject({ by, where: "far_end" });
      expect(problemOf(result, "refused").flow).toMatch(flowTo("udp", end));
    });

    test.each([
      ["v4", "tcp", tcp],
      ["v4", "udp", udp],
      ["v6", "tcp", tcp6],
      ["v6", "udp", udp6],
    ] as const)("by a router's port unreachable, %s %s", async (family, protocol, target) => {
      const what = family === "v4" ? "icmp-port-unreachable" : "icmp6-port-unreachable";
      await using _reject = await reject(lab().router, family, protocol, what);
      const result = await checkOne(lab().client, [target, ...ONCE]);
      expect(problemsOf(result)).toEqual(["refused"]);
      expect(problemOf(result, "refused")).toMatchObject({ by: ROUTER[family], where: "path" });
    });

    test.each([
      ["tcp", tcp],
      ["udp", udp],
    ])("by a rule of this machine, over %s", async (protocol, target) => {
      const rule = `-A OUTPUT -p ${protocol} -d ${SERVER1.v4} -j REJECT --reject-with icmp-port-unreachable`;
      await using _reject = await iptables(lab().client, rule);
      const result = await checkOne(lab().client, [target, ...ONCE]);
      expect(problemsOf(result)).toEqual(["refused"]);
      expect(problemOf(result, "refused")).toMatchObject({ by: CLIENT.v4, where: "this_machine" });
    });

    test("by a router's reset", async () => {
      await using _reject = await reject(lab().router, "v4", "tcp", "tcp-reset");
      const result = await checkOne(lab().client, [tcp, ...ONCE]);
      expect(problemsOf(result)).toEqual(["refused"]);
      expect(problemOf(result, "refused").by).toBeNull();
    });
  });

  describe("unreachable", () => {
    test.each([
      ["v4", "tcp", "icmp-host-unreachable"],
      ["v4", "udp", "icmp-host-unreachable"],
      ["v4", "tcp", "icmp-net-unreachable"],
      ["v4", "udp", "icmp-net-unreachable"],
      ["v4", "tcp", "icmp-admin-prohibited"],
      ["v4", "udp", "icmp-admin-prohibited"],
      ["v6", "tcp", "icmp6-adm-prohibited"],
      ["v6", "udp", "icmp6-adm-prohibited"],
      ["v6", "tcp", "icmp6-no-route"],
      ["v6", "udp", "icmp6-addr-unreachable"],
    ] as const)("by a router, which is named: %s %s %s", async (family, protocol, what) => {
      await using _reject = await reject(lab().router, family, protocol, what);
      const target = { v4: { tcp, udp }, v6: { tcp: tcp6, udp: udp6 } }[family][protocol];
      const result = await checkOne(lab().client, [target, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: ROUTER[family], where: "path" });
    });

    test.each(["tcp", "udp"])("over %s: the router has no way there", async (protocol) => {
      const result = await checkOne(lab().client, [`${protocol}://${VIRTUAL.v4}`, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: ROUTER.v4, where: "path" });
    });

    test.each(["tcp", "udp"])("over %s: a neighbour of the router does not answer", async (protocol) => {
      const result = await checkOne(lab().client, [`${protocol}://${NOBODY.v4}`, ...ONCE, "--timeout", "3s"]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: ROUTER.v4, where: "path" });
    });

    test.each(["tcp", "udp"])("over %s: a neighbour of this machine does not answer", async (protocol) => {
      const result = await checkOne(lab().client, [`${protocol}://10.97.3.9`, ...ONCE, "--timeout", "3s"]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      // Whose kernel says so, of somebody who is not there.
      expect(problemOf(result, "unreachable")).toMatchObject({ by: CLIENT.v4, where: "far_end" });
    });

    test.each(["tcp", "udp"])("over %s: the far end forbids it", async (protocol) => {
      const rule = `-A INPUT -p ${protocol} -i eth0 -j REJECT --reject-with icmp-admin-prohibited`;
      await using _reject = await iptables(lab().server1, rule);
      const result = await checkOne(lab().client, [`${protocol}://${SERVER1.v4}`, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: SERVER1.v4, where: "far_end" });
    });

    test.each(["tcp", "udp"])("over %s: the source that was asked for is nobody's here", async (protocol) => {
      const args = [`${protocol}://${SERVER1.v4}`, ...ONCE, "--source", "10.9.9.9"];
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: null, where: "this_machine" });
      expect(problemOf(result, "unreachable").says).toContain("10.9.9.9");
    });

    test("over UDP: a rule of this machine lets nothing leave", async () => {
      await using _drop = await iptables(lab().client, `-A OUTPUT -p udp -d ${SERVER1.v4} -j DROP`);
      const result = await checkOne(lab().client, [udp, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: null, where: "this_machine" });
      expect(result.sent).toBe(0);
    });

    test.each([
      ["tcp", "unreachable"],
      ["udp", "unreachable"],
      ["tcp", "prohibit"],
      ["udp", "prohibit"],
      ["tcp", "blackhole"],
      ["udp", "blackhole"],
    ])("over %s: a route of this machine is %s", async (protocol, kind) => {
      await using _route = await route(lab().client, `${kind} 203.0.113.0/24`);
      const result = await checkOne(lab().client, [`${protocol}://203.0.113.5`, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable")).toMatchObject({ by: null, where: "this_machine" });
    });

    test.each(["tcp", "udp"])("over %s: this machine has no route there", async (protocol) => {
      await using alone = await Host.make();
      for (const end of [SERVER1.v4, `[${SERVER1.v6}]`]) {
        const result = await checkOne(alone, [`${protocol}://${end}`, ...ONCE]);
        expect(problemsOf(result)).toEqual(["unreachable"]);
        expect(problemOf(result, "unreachable")).toMatchObject({ by: null, where: "this_machine" });
      }
    });

    test.each(["tcp", "udp"])("over %s: this machine has no IPv6", async (protocol) => {
      await using alone = await Host.make();
      await using _off = await sysctl(alone, "net/ipv6/conf/all/disable_ipv6", "1");
      const result = await checkOne(alone, [`${protocol}://[${SERVER1.v6}]`, ...ONCE]);
      expect(problemsOf(result)).toEqual(["unreachable"]);
      expect(problemOf(result, "unreachable").where).toBe("this_machine");
    });
  });

  describe("timeout", () => {
    test.each([
      ["tcp", tcp],
      ["udp", udp],
      ["udp", udp6],
    ] as const)("where a %s packet is dropped on the way there", async (protocol, target) => {
      const add = target.includes("[") ? ip6tables : iptables;
      await using drop = await add(lab().router, `-A FORWARD -i toclient -p ${protocol} -j DROP`);
      const result = await checkOne(lab().client, [target, ...ONCE]);
      expect(problemsOf(result)).toEqual(["timeout"]);
      const problem = problemOf(result, "timeout");
      expect(problem.flow).toMatch(
        flowTo(protocol, target.slice(6) + (protocol === "tcp" ? ":1234" : ":5678")),
      );
      expect(result).toMatchObject({ flowsAnswered: 0, received: 0, rttMs: null, servers: null, hops: null });
      if (protocol === "udp") expect(await drop.packets()).toBe(result.sent); // all of --count were sent
    });

    test("where answers are dropped on the way back", async () => {
      await using _drop = await iptables(lab().router, "-A FORWARD -o toclient -p udp -j DROP");
      const result = await checkOne(lab().client, [udp, ...ONCE]);
      expect(problemsOf(result)).toEqual(["timeout"]);
      expect(result.sent).toBe(2);
    });

    test("where a UDP server is stopped; a TCP one is silent, since its kernel still accepts", async () => {
      lab().echo1.kill("SIGSTOP");
      try {
        const [byUdp, byTcp] = await Promise.all([
          checkOne(lab().client, [udp, ...ONCE]),
          checkOne(lab().client, [tcp, ...ONCE]),
        ]);
        expect(problemsOf(byUdp)).toEqual(["timeout"]);
        expect(problemsOf(byTcp)).toEqual(["silent"]);
        expect(problemOf(byTcp, "silent").where).toBe("far_end");
        expect(byTcp).toMatchObject({ flowsAnswered: 0, servers: null, halfClose: null });
        expect(byTcp.connectMs).not.toBeNull();
      } finally {
        lab().echo1.kill("SIGCONT");
      }
    });

    test("is not said of a port whose datagrams alone are dropped, by TCP", async () => {
      await using _drop = await iptables(lab().router, "-A FORWARD -p udp -j DROP");
      const result = await checkOne(lab().client, [tcp, ...QUICK]);
      expect(problemsOf(result)).toEqual([]);
    });
  });
}

/** What comes from the client is answered by the router, with this. */
function reject(router: Host, family: "v4" | "v6", protocol: string, what: string): Promise<Fault> {
  const add = family === "v4" ? iptables : ip6tables;
  return add(router, `-A FORWARD -i toclient -p ${protocol} -j REJECT --reject-with ${what}`);
}
