import { describe, expect, test } from "bun:test";
import { until } from "../harness.ts";
import { checkText, ONCE, QUICK, startCheck } from "./check.ts";
import { iptables } from "./faults.ts";
import { type Lab, SERVER1 } from "./lab.ts";

/** How a run ends: interrupted, waited for, without a reader; never with a stack trace. */

const TRACE = /\bat .*:\d+:\d+|\bError\b|panic/;

export function endingTests(lab: () => Lab): void {
  describe("Ctrl-C", () => {
    // Before the program is there, while it starts, while it asks, while it waits for what is lost.
    const moments = [0, 20, 50, 80, 120, 160, 200, 260, 320, 400, 500, 650, 800, 1000, 1300];

    test("at any moment before a result ends it, 130, without a word on stdout or a trace", async () => {
      await using _drop = await iptables(lab().router, "-A FORWARD -i toclient -j DROP");
      const next = moments.values();
      const seen: object[] = [];
      const interrupt = async (): Promise<void> => {
        for (const moment of next) {
          await using running = startCheck(lab().client, [SERVER1.v4, "--timeout", "60s", "--json"]);
          await Bun.sleep(moment); // the moment itself is what is tried
          running.kill("SIGINT");
          const code = await running.exited;
          seen.push({ moment, code, stdout: running.stdout, trace: TRACE.test(running.stderr) });
        }
      };
      await Promise.all([interrupt(), interrupt()]);
      expect(seen).toHaveLength(moments.length);
      expect(seen.filter((each) => !Bun.deepEquals(each, { ...each, ...INTERRUPTED }))).toEqual([]);
    });

    test("while sizes are tried: the same", async () => {
      await using large = await iptables(
        lab().router,
        "-A FORWARD -i toclient -p udp -m length --length 1000: -j DROP",
      );
      await using running = startCheck(lab().client, [`udp://${SERVER1.v4}`, ...ONCE, "--mtu", "--json"]);
      await until("some sizes were tried", async () => (await large.packets()) > 5);
      running.kill("SIGINT");
      const code = await running.exited;
      const { stdout, stderr } = running;
      expect({ code, stdout, trace: TRACE.test(stderr) }).toEqual(INTERRUPTED);
    });

    test("while packets are under way: the same", async () => {
      await using count = await iptables(
        lab().router,
        `-A FORWARD -i toclient -p udp --dport 5678 -j ACCEPT`,
      );
      const args = [SERVER1.v4, "--flows", "1000", "--interval", "20ms", "--json"];
      await using running = startCheck(lab().client, args);
      await until("datagrams are under way", async () => (await count.packets()) > 20);
      running.kill("SIGINT");
      const code = await running.exited;
      const { stdout, stderr } = running;
      expect({ code, stdout, trace: TRACE.test(stderr) }).toEqual(INTERRUPTED);
    });
  });

  describe("a stdout that nobody reads", () => {
    test.each([
      ["is closed", "exec >&-"],
      [
        "is a pipe whose reader has left",
        "mkfifo /tmp/lab-$$; (: </tmp/lab-$$) & exec >/tmp/lab-$$; rm /tmp/lab-$$",
      ],
      ["is a full device", "exec >/dev/full"],
    ])("that %s: no trace, and an end", async (_what, before) => {
      const { exitCode, stderr } = await checkText(lab().client, [SERVER1.v4, ...QUICK], { before });
      expect(stderr).not.toMatch(TRACE);
      expect(exitCode).toBeLessThan(130);
    });
  });

  describe("--wait", () => {
    test("tries until it is well: refused at first, and then no more", async () => {
      const reject = "-A FORWARD -i toclient -p udp -j REJECT --reject-with icmp-port-unreachable";
      const refusing = await iptables(lab().router, reject);
      await using running = startCheck(lab().client, [
        `udp://${SERVER1.v4}`,
        "--wait",
        "30s",
        ...ONCE,
        "--json",
      ]);
      await until("it was refused twice", async () => (await refusing.packets()) >= 2);
      await refusing[Symbol.asyncDispose]();
      expect({ code: await running.exited, stderr: running.stderr }).toEqual({ code: 0, stderr: "" });
      expect(JSON.parse(running.stdout)).toMatchObject({ ok: true, results: [{ ok: true, problems: [] }] });
    });

    test("gives up at last, and says what was wrong then", async () => {
      const { exitCode, stdout } = await checkText(lab().client, [
        ...[`tcp://${SERVER1.v4}:9`, "--wait", "1s"],
        ...[...ONCE, "--json"],
      ]);
      expect(exitCode).toBe(1);
      expect(JSON.parse(stdout).results).toMatchObject([{ ok: false, problems: [{ code: "refused" }] }]);
    });

    test("waits through a server that comes, goes and comes", async () => {
      // A third of all datagrams is refused: most runs have a problem, and one will have none.
      const rule = "-A FORWARD -i toclient -p udp -m statistic --mode nth --every 3 --packet 0 -j REJECT";
      await using refusing = await iptables(lab().router, rule);
      const { exitCode } = await checkText(lab().client, [
        ...[`udp://${SERVER1.v4}`, "--wait", "30s", "--flows", "1", "--count", "2"],
        ...["--interval", "1ms", "--timeout", "500ms", "--json"],
      ]);
      expect(exitCode).toBe(0);
      expect(await refusing.packets()).toBeGreaterThan(0);
    });
  });
}

const INTERRUPTED = { code: 130, stdout: "", trace: false };
