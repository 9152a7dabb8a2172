import { describe, expect, test } from "bun:test";
import { checkOne, noteOf, notesOf, ONCE, problemOf, problemsOf, QUICK } from "./check.ts";
import { ip6tables, iptables } from "./faults.ts";
import { CLIENT, type Lab, ROUTER, SERVER1 } from "./lab.ts";
import { badServer, relay, socat } from "./serve.ts";

/** What becomes of datagrams: lost, doubled, out of order, changed, crossed, from elsewhere; each counted exactly. */

const udp = `udp://${SERVER1.v4}`;
const udp6 = `udp://[${SERVER1.v6}]`;
const MANY = ["--flows", "2", "--count", "20", "--interval", "2ms", "--timeout", "500ms"];
/** A payload of 64 bytes as iptables counts it: banners have another size. */
const ECHO = "-p udp -m length --length 92";
const ECHO6 = "-p udp -m length --length 112";
const FLOW = new RegExp(`^udp ${RegExp.escape(CLIENT.v4)}:\\d+ > ${RegExp.escape(SERVER1.v4)}:5678$`);

export function lossTests(lab: () => Lab): void {
  describe("lost", () => {
    test.each([
      ["there", "-i toclient"],
      ["back", "-o toclient"],
    ])("every fifth on the way %s, counted exactly", async (_way, way) => {
      const rule = `-A FORWARD ${way} ${ECHO} -m statistic --mode nth --every 5 --packet 4 -j DROP`;
      await using drop = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [udp, ...MANY]);
      expect(problemsOf(result)).toEqual(["lost"]);
      expect(result).toMatchObject({ sent: 40, received: 32, lost: 8, flows: 2, flowsAnswered: 2 });
      const problem = problemOf(result, "lost");
      expect(problem).toMatchObject({ count: 8, where: "path" });
      expect(problem.says).toMatch(/\b8 of 40\b/);
      expect(problem.flow).toMatch(FLOW);
      expect(await drop.packets()).toBe(8);
      expect(notesOf(result)).toEqual([]);
    });

    test("some of many over IPv6, whichever they are", async () => {
      const rule = `-A FORWARD -o toclient ${ECHO6} -m statistic --mode random --probability 0.3 -j DROP`;
      await using drop = await ip6tables(lab().router, rule);
      const args = ["--flows", "2", "--count", "100", "--interval", "1ms", "--timeout", "500ms"];
      const result = await checkOne(lab().client, [udp6, ...args]);
      const dropped = await drop.packets();
      expect(dropped).toBeGreaterThan(10);
      expect(problemsOf(result)).toEqual(["lost"]);
      expect(result).toMatchObject({ sent: 200, received: 200 - dropped, lost: dropped });
      expect(problemOf(result, "lost").count).toBe(dropped);
    });

    test("the first of each flow, and it says so", async () => {
      const once =
        "-m hashlimit --hashlimit-name first --hashlimit-mode srcip,srcport --hashlimit-upto 1/hour";
      const rule = `-A FORWARD -i toclient ${ECHO} ${once} --hashlimit-burst 1 -j DROP`;
      await using drop = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [udp, ...QUICK, "--timeout", "300ms"]);
      expect(problemsOf(result)).toEqual(["lost"]);
      expect(result).toMatchObject({ sent: 15, received: 12, lost: 3, flowsAnswered: 3 });
      expect(problemOf(result, "lost").says).toContain("first");
      expect(await drop.packets()).toBe(3);
    });

    test("is not said of a banner that alone was lost", async () => {
      await using drop = await iptables(
        lab().router,
        "-A FORWARD -o toclient -p udp -m length ! --length 92 -j DROP",
      );
      const result = await checkOne(lab().client, [udp, ...QUICK]);
      expect(await drop.packets()).toBeGreaterThanOrEqual(3);
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ sent: 15, received: 15, lost: 0, servers: null });
    });

    test("is not said of other sizes than those that are sent", async () => {
      await using drop = await iptables(lab().router, "-A FORWARD -p udp -m length --length 93:95 -j DROP");
      const result = await checkOne(lab().client, [udp, ...QUICK]);
      expect({ problems: problemsOf(result), lost: result.lost }).toEqual({ problems: [], lost: 0 });
      expect(await drop.packets()).toBe(0);
      const larger = await checkOne(lab().client, [udp, ...ONCE, "--size", "66"]);
      expect(problemsOf(larger)).toEqual(["timeout"]);
    });
  });

  describe("duplicated", () => {
    test.each([
      ["there", "-i toclient", SERVER1.v4],
      ["back", "-o toclient", CLIENT.v4],
    ])("every datagram on the way %s, counted exactly", async (_way, way, next) => {
      const rule = `-t mangle -A FORWARD ${way} ${ECHO} -j TEE --gateway ${next}`;
      await using tee = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [udp, ...QUICK]);
      expect(problemsOf(result)).toEqual(["duplicated"]);
      expect(result).toMatchObject({
        sent: 15,
        received: 15,
        lost: 0,
        duplicated: 15,
        foreign: 0,
        corrupted: 0,
      });
      expect(problemOf(result, "duplicated")).toMatchObject({ count: 15, where: "path" });
      expect(problemOf(result, "duplicated").flow).toMatch(FLOW);
      expect(await tee.packets()).toBe(15);
    });
  });

  describe("other_address", () => {
    test("a wildcard server with two addresses answers from the first, asked by the second", async () => {
      await using _echo = await socat(lab().server1, "UDP4-RECVFROM:7,fork");
      // One at a time: socat forks for each, and two that fork at once may take each other's datagram.
      const slowly = [...QUICK, "--flows", "1", "--count", "3", "--interval", "100ms"];
      const wrong = await checkOne(lab().client, [`udp://${SERVER1.otherV4}:7`, ...slowly]);
      expect(problemsOf(wrong)).toEqual(["other_address"]);
      const problem = problemOf(wrong, "other_address");
      expect(problem).toMatchObject({ from: `${SERVER1.v4}:7`, where: "far_end" });
      for (const each of [SERVER1.v4, SERVER1.otherV4]) expect(problem.says).toContain(each);
      expect(problem.flow).toMatch(/^udp 10\.97\.3\.2:\d+ > 10\.97\.1\.3:7$/);
      const right = await checkOne(lab().client, [`udp://${SERVER1.v4}:7`, ...slowly]);
      expect(problemsOf(right)).toEqual([]);
    });

    test("another server of that kind, by each of several flows", async () => {
      await using _echo = await badServer(lab().server1, "udp", 7, "other-echo", "0.0.0.0", "7");
      const result = await checkOne(lab().client, [`udp://${SERVER1.otherV4}:7`, ...QUICK]);
      expect(problemsOf(result)).toEqual(["other_address"]);
      expect(problemOf(result, "other_address").from).toBe(`${SERVER1.v4}:7`);
      expect(result).toMatchObject({ sent: 15, received: 15, lost: 0, flowsAnswered: 3 });
    });

    test("from the right address and another port", async () => {
      const args = ["elsewhere", SERVER1.v4, "7007"];
      await using _server = await badServer(lab().server1, "udp", 7007, "liar", ...args);
      const result = await checkOne(lab().client, [`udp://${SERVER1.v4}:7007`, ...QUICK]);
      expect(problemsOf(result)).toEqual(["other_address"]);
      expect(problemOf(result, "other_address").from).toBe(`${SERVER1.v4}:7008`);
    });

    test("is not said of ours, which answers from where it was asked", async () => {
      for (const address of [SERVER1.otherV4, `[${SERVER1.otherV6}]`]) {
        const result = await checkOne(lab().client, [`udp://${address}`, ...QUICK]);
        expect(problemsOf(result)).toEqual([]);
        expect(result.servers).toMatchObject([{ server: `${address}:5678` }]);
      }
    });
  });

  describe("a relay on the way, to our own server,", () => {
    const port = 7000;
    const target = `udp://${ROUTER.v4}:${port}`;
    /** 15 echoes, of which every fifth suffers. */
    const args = [target, ...QUICK, "--interval", "5ms"];
    const through = (fault: string) => relay(lab().router, fault, port, SERVER1.v4, 5678);
    /** All that it counts, but for what is named; by default all came back, and nothing else. */
    const counts = (named: object): object => ({
      ...{ sent: 15, received: 15, lost: 0, duplicated: 0, reordered: 0, corrupted: 0, foreign: 0 },
      ...named,
    });
    /** Every relay of user space is another source and another server. */
    const translated = ["source_translated", "destination_translated"] as const;

    test("that delays: round trips of so long, and nothing wrong", async () => {
      await using _relay = await through("delays");
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([]);
      expect(notesOf(result)).toEqual([...translated]);
      expect(result).toMatchObject(counts({}));
      expect(result.rttMs!.min).toBeGreaterThanOrEqual(60);
    });

    test("that doubles: duplicated", async () => {
      await using _relay = await through("doubles");
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual(["duplicated"]);
      expect(result).toMatchObject(counts({ duplicated: 15 }));
      expect(problemOf(result, "duplicated").count).toBe(15);
    });

    test("that lets one be overtaken: reordered, which is no problem", async () => {
      await using _relay = await through("swaps");
      const result = await checkOne(lab().client, [...args, "--flows", "1", "--count", "16"]);
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ ...counts({ reordered: 3 }), sent: 16, received: 16 });
      expect(notesOf(result)).toContain("reordered");
      expect(noteOf(result, "reordered").count).toBe(3);
    });

    test("that changes a byte: corrupted, and not lost as well", async () => {
      await using _relay = await through("corrupts");
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual(["corrupted"]);
      expect(result).toMatchObject(counts({ received: 12, corrupted: 3 }));
      expect(problemOf(result, "corrupted").count).toBe(3);
      expect(problemOf(result, "corrupted").flow).toMatch(/^udp 10\.97\.3\.2:\d+ > 10\.97\.3\.1:7000$/);
    });

    test("that gives an answer to another client: foreign, and not lost as well", async () => {
      await using _relay = await through("crosses");
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual(["foreign"]);
      expect(result).toMatchObject(counts({ received: 12, foreign: 3 }));
      expect(problemOf(result, "foreign").count).toBe(3);
    });
  });
}
