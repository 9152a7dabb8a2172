import { describe, expect, test } from "bun:test";
import { until } from "../../harness.ts";
import { destination, iptables } from "../faults.ts";
import { type Lab, SERVER1, SERVER2, VIRTUAL } from "../lab.ts";
import { differenceMs, Prober, Watching } from "./watching.ts";

/** How long an outage was, beside a prober of its own: windows of loss, and conntrack's stale entries. */

/** How far a watched outage may be from the prober's. */
const WITHIN_MS = 100;

/** The Service's end, translated to a server: conntrack keeps what a flow was given. */
const toServer = (server: string) =>
  ({ protocol: "udp", address: VIRTUAL.v4, port: 5678, backends: [`${server}:5678`] }) as const;

export function outageTests(lab: () => Lab): void {
  describe("windows of loss", () => {
    test("of 300 ms, 1 s and 2.5 s: each outage is as long as the prober's, and nothing else is said", async () => {
      await using watching = new Watching(lab().client, [
        `udp://${SERVER1.v4}`,
        ...["--interval", "50ms", "--probes", "udp-fixed,udp-connected"],
      ]);
      await using prober = new Prober(lab().client, SERVER1.v4, 5678, 10);
      await watching.answered("udp-fixed", "udp-connected");
      await until("the prober is answered", () => prober.isAnswered);
      const windows = [0.3, 1, 2.5];
      for (const [at, seconds] of windows.entries()) {
        const drop = "FORWARD -p udp --dport 5678 -j DROP";
        await lab().router.configure(`iptables -w -A ${drop}\nsleep ${seconds}\niptables -w -D ${drop}`);
        await until(`silence ${at} is over`, () => prober.longerThan(200).length === at + 1);
        for (const flow of ["udp-fixed", "udp-connected"] as const) {
          const isBack = () => watching.eventsOf(flow).filter((event) => event === "back").length === at + 1;
          await until(`${flow} is back ${at}`, isBack);
        }
      }
      const expected = prober.longerThan(200);
      const { exitCode, flows } = await watching.stop();
      for (const flow of ["udp-fixed", "udp-connected"] as const) {
        const backs = watching.linesOf(flow).filter(({ event }) => event === "back");
        for (const [at, back] of backs.entries())
          expect(differenceMs(back, expected[at]!)).toBeLessThan(WITHIN_MS);
        // A silence of a second or more is said while it goes on.
        expect(watching.eventsOf(flow).filter((event) => event !== "silent")).toEqual([
          "answered",
          "back",
          "back",
          "back",
        ]);
        const { sent, answered, lost, underWay, outages } = flows[flow]!;
        expect(outages.count).toBe(3);
        expect(sent).toBe(answered + lost + underWay);
        expect(lost).toBe(backs.reduce((sum, back) => sum + back.lost!, 0));
        const sumMs = backs.reduce((sum, { silentMs }) => sum + silentMs!, 0);
        expect(Math.abs(outages.totalMs - sumMs)).toBeLessThanOrEqual(3); // each is rounded
      }
      expect(exitCode).toBe(1);
    });
  });

  describe("a stale entry", () => {
    test("is stuck within 3 s with who answers new flows, and back when it is removed", async () => {
      const { client, router } = lab();
      const old = await destination(router, toServer(SERVER1.v4));
      await using watching = new Watching(client, [`udp://${VIRTUAL.v4}`, "--interval", "50ms"]);
      await using prober = new Prober(client, VIRTUAL.v4, 5678, 10);
      await watching.answered("udp-fixed", "udp-connected", "udp-new");
      await until("the prober is answered", () => prober.isAnswered);
      // The backend goes, the rule moves, and what conntrack remembers stays.
      await using _gone = await iptables(router, `-I FORWARD -p udp -d ${SERVER1.v4} --dport 5678 -j DROP`);
      await using _new = await destination(router, toServer(SERVER2.v4));
      await old[Symbol.asyncDispose]();
      for (const flow of ["udp-fixed", "udp-connected"] as const) {
        const stuck = await watching.hears(flow, "stuck");
        expect(stuck.at - stuck.since!).toBeLessThan(3);
        expect(stuck).toMatchObject({
          server: `${SERVER1.v4}:5678`,
          newServer: `${SERVER2.v4}:5678`,
          where: "path",
        });
        expect(stuck.says).toContain(`${SERVER2.v4}:5678`);
      }
      // One flow's entry alone: the other one stays with the backend that is dead.
      const portOf = (ends: string): string => /:(\d+) >/.exec(ends)![1]!;
      const fixed = portOf(watching.linesOf("udp-fixed")[0]!.ends!);
      await router.run("conntrack", "-D", "-p", "udp", "--orig-port-src", fixed);
      await watching.hears("udp-fixed", "back");
      expect(watching.eventsOf("udp-connected")).not.toContain("back");
      await router.run("conntrack", "-D", "-p", "udp", "--orig-dst", VIRTUAL.v4);
      const back = await watching.hears("udp-connected", "back");
      await until("the prober is back", () => prober.longerThan(500).length === 1);
      expect(differenceMs(back, prober.longerThan(500)[0]!)).toBeLessThan(WITHIN_MS);
      for (const flow of ["udp-fixed", "udp-connected"] as const) {
        const moved = await watching.hears(flow, "moved");
        expect(moved).toMatchObject({ from: `${SERVER1.v4}:5678`, to: `${SERVER2.v4}:5678` });
        expect(moved.silentMs).toBe((await watching.hears(flow, "back")).silentMs!);
      }
      const { exitCode, flows } = await watching.stop();
      expect(exitCode).toBe(1);
      const servers = flows["udp-fixed"]!.servers.map(({ server }) => server);
      expect(servers).toEqual([`${SERVER1.v4}:5678`, `${SERVER2.v4}:5678`]);
    });
  });
}
