import { describe, expect, test } from "bun:test";
import type { Host } from "../clients/network.ts";
import { checkOne, problemsOf, QUICK } from "./check.ts";
import { iptables } from "./faults.ts";
import { type Lab, ROUTER, SERVER1 } from "./lab.ts";
import { relay } from "./serve.ts";

/** A check is never the fault itself: what the network and the server get of it. */

/** Packets of flows that were not answered yet, as conntrack sees them. */
const NEW = "-m conntrack --ctstate NEW";
const FIN_OR_RESET = "-p tcp --tcp-flags FIN,RST";
/** proc_net_tcp. */
const TIME_WAIT = "06";

export function mannerTests(lab: () => Lab): void {
  test("one datagram is in flight until a flow is answered, and nothing else is sent", async () => {
    await using unanswered = await iptables(lab().router, `-A FORWARD -i toclient -p udp ${NEW}`);
    await using all = await iptables(lab().router, "-A FORWARD -i toclient");
    const result = await checkOne(lab().client, [`udp://${SERVER1.v4}`, ...QUICK, "--flows", "20"]);
    expect(problemsOf(result)).toEqual([]);
    expect(await unanswered.packets()).toBe(20);
    expect(await all.packets()).toBe(100);
  });

  test("even where the first answer takes much longer than the interval", async () => {
    await using _relay = await relay(lab().router, "delays", 7000, SERVER1.v4, 5678);
    await using unanswered = await iptables(lab().router, `-A INPUT -i toclient -p udp ${NEW}`);
    const result = await checkOne(lab().client, [`udp://${ROUTER.v4}:7000`, ...QUICK]);
    expect(result.rttMs!.min).toBeGreaterThanOrEqual(60);
    expect(await unanswered.packets()).toBe(3);
  });

  describe("TCP sessions", () => {
    test("end by a reset, all but the one with the half-close, and leave no ports behind", async () => {
      const before = await timeWaits(lab());
      await using resets = await iptables(lab().router, `-A FORWARD -i toclient ${FIN_OR_RESET} RST`);
      await using fins = await iptables(lab().router, `-A FORWARD -i toclient ${FIN_OR_RESET} FIN`);
      await using begun = await iptables(lab().router, "-A FORWARD -i toclient -p tcp --syn");
      const result = await checkOne(lab().client, [`tcp://${SERVER1.v4}`, ...QUICK, "--flows", "20"]);
      expect(problemsOf(result)).toEqual([]);
      expect(await begun.packets()).toBe(20);
      expect(await fins.packets()).toBe(1);
      expect(await resets.packets()).toBeGreaterThanOrEqual(19);
      expect((await timeWaits(lab())) - before).toBeLessThanOrEqual(1);
    });
  });
}

/** Sessions with server1 that stand in TIME-WAIT, at either end. */
async function timeWaits({ client, server1 }: Lab): Promise<number> {
  const of = async (host: Host): Promise<number> => {
    const sockets = await host.run("cat", "/proc/net/tcp", "/proc/net/tcp6");
    return sockets.split("\n").filter((line) => line.trim().split(/ +/)[3] === TIME_WAIT).length;
  };
  return (await of(client)) + (await of(server1));
}
