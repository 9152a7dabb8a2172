import { describe, expect, test } from "bun:test";
import { checkOne, noteOf, notesOf, problemOf, problemsOf, QUICK } from "./check.ts";
import { change, type Fault, iptables, noIcmp, route, together } from "./faults.ts";
import { CLIENT, type Lab, SERVER1 } from "./lab.ts";

/** What large segments and the half-close show of a path, over TCP. */

/** Of which a narrow path lets small echoes pass. */
const ARGS = [...QUICK, "--bulk", "256KiB"];

const NARROW = 1400;

export function tcpPathTests(lab: () => Lab): void {
  describe.each(["v4", "v6"] as const)("a narrow path, %s", (family) => {
    const target = family === "v4" ? `tcp://${SERVER1.v4}` : `tcp://[${SERVER1.v6}]`;
    const there = () => narrow(lab(), SERVER1[family], "toserver1");
    const back = () => narrow(lab(), CLIENT[family], "toclient");

    test("there, by ICMP: mtu_reduced with its figure, and all passes", async () => {
      await using _narrow = await there();
      const result = await checkOne(lab().client, [target, ...ARGS]);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({
        problems: [],
        notes: ["mtu_reduced"],
      });
      const note = noteOf(result, "mtu_reduced");
      expect(note).toMatchObject({ direction: "there", mtu: NARROW });
      expect(note.says).toContain("the interface has 1,500");
      expect(result).toMatchObject({ mtu: { there: NARROW, back: null }, halfClose: "whole" });
    });

    test("there, with ICMP filtered: mtu_black_hole, there", async () => {
      await using _silence = await noIcmp(lab().router);
      await using _narrow = await there();
      const result = await checkOne(lab().client, [target, ...ARGS]);
      expect(problemsOf(result)).toEqual(["mtu_black_hole"]);
      const problem = problemOf(result, "mtu_black_hole");
      expect(problem).toMatchObject({ direction: "there", mtu: null, where: "path" });
      expect(problem.says).toContain("0 bytes acknowledged");
      expect(result).toMatchObject({ flowsAnswered: 3, lost: 0, bulkBytes: 0, halfClose: null });
    });

    test("back, by ICMP: the server's kernel heeds it, and this end sees nothing of it", async () => {
      await using _narrow = await back();
      const result = await checkOne(lab().client, [target, ...ARGS]);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({ problems: [], notes: [] });
      expect(result).toMatchObject({ mtu: { there: 1500 }, halfClose: "whole" });
    });

    test("back, with ICMP filtered: mtu_black_hole, and what was acknowledged says that it is not there", async () => {
      await using _silence = await noIcmp(lab().router);
      await using _narrow = await back();
      const result = await checkOne(lab().client, [target, ...ARGS]);
      expect(problemsOf(result)).toEqual(["mtu_black_hole"]);
      const problem = problemOf(result, "mtu_black_hole");
      expect(problem).toMatchObject({ direction: null, mtu: null });
      expect(problem.likely).toStartWith("a link on the way back is narrower");
      expect(problem.says).not.toContain(" 0 bytes acknowledged");
    });
  });

  test.each([
    ["there", "-i toclient"],
    ["back", "-o toclient"],
  ])("a path that swallows FINs on the way %s: half_close_no_end", async (_way, which) => {
    await using drop = await iptables(lab().router, `-A FORWARD ${which} -p tcp --tcp-flags FIN FIN -j DROP`);
    const result = await checkOne(lab().client, [`tcp://${SERVER1.v4}`, ...ARGS]);
    expect(await drop.packets()).toBeGreaterThan(0);
    expect(problemsOf(result)).toEqual(["half_close_no_end"]);
    expect(problemOf(result, "half_close_no_end").where).toBe("path"); // a banner: our own server ends it well
    expect(result).toMatchObject({ halfClose: "no_end", flowsAnswered: 3, lost: 0 });
  });

  test("each session has one SYN, and ends by a reset but for the one of the half-close, which alone leaves TIME-WAIT", async () => {
    await using syns = await iptables(lab().router, "-A FORWARD -i toclient -p tcp --syn");
    await using resets = await iptables(lab().router, "-A FORWARD -i toclient -p tcp --tcp-flags RST RST");
    const before = await portsInTimeWait(lab());
    const result = await checkOne(lab().client, [`tcp://${SERVER1.v4}`, ...ARGS, "--flows", "8"]);
    expect(result.ok).toBe(true);
    expect(await syns.packets()).toBe(8);
    expect(await resets.packets()).toBe(7);
    const left = (await portsInTimeWait(lab())).filter((port) => !before.includes(port));
    expect(left).toHaveLength(1);
  });
}

/** The client's ends that are in TIME-WAIT, state 6 (proc_net_tcp). */
async function portsInTimeWait({ client }: Lab): Promise<string[]> {
  const lines = (await client.run("cat", "/proc/net/tcp")).split("\n").map((line) => line.trim().split(/ +/));
  return lines.filter(([, , , state]) => state === "06").map(([, local]) => local!);
}

/** A route of the router's that is narrower than its link; what the ends have learned of it is forgotten with it. */
async function narrow({ client, router, server1 }: Lab, address: string, device: string): Promise<Fault> {
  const forget = "ip -4 route flush cache; ip -6 route flush cache";
  return together(
    await change(client, "true", forget),
    await change(server1, "true", forget),
    await route(router, `${address} dev ${device} mtu ${NARROW}`),
  );
}
