import { describe, expect, test } from "bun:test";
import { checkOne, notesOf, problemOf, problemsOf, QUICK } from "./check.ts";
import { iptables } from "./faults.ts";
import { CLIENT, type Lab, SERVER1, SERVER2 } from "./lab.ts";
import { badServer, socat } from "./serve.ts";

/** What becomes of TCP sessions on the way. */

const tcp = `tcp://${SERVER1.v4}`;
const FLOW = new RegExp(`^tcp ${RegExp.escape(CLIENT.v4)}:\\d+ > ${RegExp.escape(SERVER1.v4)}:1234$`);
/** A segment of 64 bytes: with its IP header, and TCP's with timestamps. */
const ECHO = "-p tcp -m length --length 116";

export function sessionTests(lab: () => Lab): void {
  describe("syn_lost", () => {
    test("every second SYN", async () => {
      const rule = "-A FORWARD -i toclient -p tcp --syn -m statistic --mode nth --every 2 --packet 0 -j DROP";
      await using drop = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [tcp, ...QUICK, "--flows", "2"]);
      expect(problemsOf(result)).toEqual(["syn_lost"]);
      const problem = problemOf(result, "syn_lost");
      expect(problem).toMatchObject({ count: 2, where: "path" });
      expect(problem.flow).toMatch(FLOW);
      expect(result).toMatchObject({ synRetransmits: 2, flowsAnswered: 2, halfClose: "whole", lost: 0 });
      expect(result.connectMs!.p50).toBeGreaterThan(900); // RFC 6298: the first retransmit comes after 1 s
      expect(result.rttMs!.p50).toBeLessThan(result.connectMs!.p50 / 10);
      expect(await drop.packets()).toBe(2);
    });

    test("waits longer than --timeout for a SYN that is sent again", async () => {
      const rule = "-A FORWARD -i toclient -p tcp --syn -m statistic --mode nth --every 3 --packet 0 -j DROP";
      await using _drop = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [tcp, ...QUICK, "--flows", "2", "--timeout", "300ms"]);
      expect(problemsOf(result)).toEqual(["syn_lost"]);
      expect(problemOf(result, "syn_lost").count).toBe(1);
    });

    test("is not said of segments that were sent again later", async () => {
      const rule = `-A FORWARD -i toclient ${ECHO} -m statistic --mode nth --every 4 --packet 3 -j DROP`;
      await using drop = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [tcp, ...QUICK]);
      const dropped = await drop.packets();
      expect(dropped).toBeGreaterThan(1);
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ synRetransmits: 0, flowsAnswered: 3, lost: 0 });
      expect(result.tcp!.retransmits).toBeGreaterThanOrEqual(dropped);
    });
  });

  describe("reset", () => {
    test("in the middle of a session, by somebody on the way", async () => {
      const middle = "-m connbytes --connbytes 5: --connbytes-dir original --connbytes-mode packets";
      const rule = `-A FORWARD -i toclient -p tcp ${middle} -j REJECT --reject-with tcp-reset`;
      await using _reject = await iptables(lab().router, rule);
      const result = await checkOne(lab().client, [tcp, ...QUICK, "--bulk", "0", "--flows", "1"]);
      expect(problemsOf(result)).toEqual(["reset"]);
      const problem = problemOf(result, "reset");
      expect(problem.by ?? null).toBeNull();
      expect(problem.flow).toMatch(FLOW);
      expect(problem.bytes! % 64).toBe(0); // whole echoes
      expect(problem.bytes).toBeGreaterThan(0);
      expect(problem.bytes).toBeLessThan(5 * 64);
    });
  });

  describe("silent", () => {
    test("a server that accepts and says nothing", async () => {
      await using _mute = await socat(lab().server2, "TCP4-LISTEN:7,fork,reuseaddr", "SYSTEM:sleep 60");
      const result = await checkOne(lab().client, ["tcp://10.97.2.2:7", ...QUICK, "--flows", "1"]);
      expect(problemsOf(result)).toEqual(["silent"]);
      expect(problemOf(result, "silent").flow).toMatch(/^tcp 10\.97\.3\.2:\d+ > 10\.97\.2\.2:7$/);
      expect(result).toMatchObject({ flowsAnswered: 0, received: 0, firstByteMs: null });
      expect(result.connectMs).not.toBeNull();
    });

    test("a path that swallows bytes once the connection is there", async () => {
      await using _drop = await iptables(
        lab().router,
        "-A FORWARD -o toclient -p tcp -m length --length 90: -j DROP",
      );
      const result = await checkOne(lab().client, [tcp, ...QUICK, "--flows", "1"]);
      expect(problemsOf(result)).toEqual(["silent"]);
    });

    test("is not said of a server that is slow, but answers in time", async () => {
      const slow = "SYSTEM:sleep 0.3; exec cat";
      await using _slow = await socat(lab().server2, "TCP4-LISTEN:7,fork,reuseaddr", slow);
      const result = await checkOne(lab().client, [
        "tcp://10.97.2.2:7",
        ...QUICK,
        "--flows",
        "1",
        "--timeout",
        "5s",
      ]);
      expect(problemsOf(result)).toEqual([]);
      expect(result.firstByteMs!.min).toBeGreaterThan(250);
    });
  });

  describe("half-close", () => {
    test("half_close_no_end: a relay that swallows the FIN", async () => {
      const relay = await socat(
        lab().server2,
        "TCP4-LISTEN:7,fork,reuseaddr,ignoreeof",
        `TCP4:${SERVER1.v4}:1234`,
      );
      await using _relay = relay;
      const result = await checkOne(lab().client, ["tcp://10.97.2.2:7", ...QUICK]);
      expect(problemsOf(result)).toEqual(["half_close_no_end"]);
      expect(result).toMatchObject({ halfClose: "no_end", bulkBytes: 65_536, flowsAnswered: 3 });
      expect(problemOf(result, "half_close_no_end").flow).toMatch(/^tcp 10\.97\.3\.2:\d+ > 10\.97\.2\.2:7$/);
      expect(notesOf(result)).toEqual(["source_translated", "destination_translated"]);
    });

    test("is whole through a relay that passes it on", async () => {
      await using _relay = await socat(
        lab().server2,
        "TCP4-LISTEN:7,fork,reuseaddr",
        `TCP4:${SERVER1.v4}:1234`,
      );
      const result = await checkOne(lab().client, ["tcp://10.97.2.2:7", ...QUICK]);
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ halfClose: "whole", bulkBytes: 65_536 });
    });
  });

  describe("servers that are wrong on purpose", () => {
    const port = 7001;
    const target = `tcp://${SERVER2.v4}:${port}`;
    /** Echoes enough to get beyond the bytes after which a fault begins. */
    const args = [target, ...QUICK, "--count", "10"];
    const faulty = (fault: string, bytes: number) =>
      badServer(lab().server2, "tcp", port, "tcp", fault, SERVER2.v4, String(port), String(bytes));
    /** Payload of all ten echoes, and of the bulk. */
    const ECHOES = 640;
    const BULK = 65_536;

    test.each([
      ["resetsAtOnce", 0, "reset"],
      ["resets", 320, "reset"],
      ["closesAtOnce", 0, "closed"],
      ["closes", 320, "closed"],
    ] as const)("%s after %d bytes: %s", async (fault, bytes, code) => {
      await using _server = await faulty(fault, bytes);
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([code]);
      const problem = problemOf(result, code);
      expect(problem.bytes).toBe(bytes);
      expect(problem.by ?? null).toBeNull();
      expect(problem.flow).toMatch(/^tcp 10\.97\.3\.2:\d+ > 10\.97\.2\.2:7001$/);
      expect(result.flowsAnswered).toBe(bytes === 0 ? 0 : 3);
    });

    test("resetsEverySecond: the others are answered", async () => {
      await using _server = await faulty("resetsEverySecond", 0);
      const result = await checkOne(lab().client, [...args, "--flows", "4"]);
      expect(problemsOf(result)).toEqual(["reset"]);
      expect(result).toMatchObject({ flows: 4, flowsAnswered: 2, halfClose: "whole" });
    });

    test.each([
      ["stalls", 320, "silent"],
      ["stalls", ECHOES + 1000, "mtu_black_hole"],
      ["corrupts", 320, "corrupted"],
      ["foreign", 320, "foreign"],
      ["doubles", 320, "duplicated"],
    ] as const)("%s after %d bytes: %s", async (fault, bytes, code) => {
      await using _server = await faulty(fault, bytes);
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([code]);
      expect(problemOf(result, code).flow).toMatch(/^tcp 10\.97\.3\.2:\d+ > 10\.97\.2\.2:7001$/);
    });

    test.each([
      ["cutsTail", "cut", "half_close_cut"],
      ["resetsOnFin", "cut", "half_close_cut"],
      ["forgetsTail", "cut", "half_close_cut"],
      ["neverEnds", "no_end", "half_close_no_end"],
    ] as const)("%s: the half-close is %s", async (fault, halfClose, code) => {
      await using _server = await faulty(fault, ECHOES + BULK + 1000);
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([code]);
      expect(result).toMatchObject({ halfClose, flowsAnswered: 3, bulkBytes: BULK });
      if (code === "half_close_cut") expect(problemOf(result, code).bytes).toBe(1000);
    });

    test("none: nothing is wrong, and nothing is claimed", async () => {
      await using _server = await faulty("none", 0);
      const result = await checkOne(lab().client, args);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({ problems: [], notes: [] });
      expect(result).toMatchObject({
        ...{ flowsAnswered: 3, halfClose: "whole", bulkBytes: BULK },
        ...{ lost: 0, corrupted: 0, servers: null },
      });
    });
  });

  test("bulk that stalls where small echoes pass is an MTU black hole of unknown width", async () => {
    await using _drop = await iptables(
      lab().router,
      "-A FORWARD -i toclient -p tcp -m length --length 1000: -j DROP",
    );
    const result = await checkOne(lab().client, [tcp, ...QUICK]);
    expect(problemsOf(result)).toEqual(["mtu_black_hole"]);
    expect(problemOf(result, "mtu_black_hole")).toMatchObject({ mtu: null, where: "path" });
    expect(problemOf(result, "mtu_black_hole").flow).toMatch(FLOW);
  });
}
