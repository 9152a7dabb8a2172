import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { CheckReport } from "../../src/diagnose/result.ts";
import { until } from "../harness.ts";
import { check, ONCE, ORDINARY, problemOf, problemsOf, QUICK, startCheck } from "./check.ts";
import { iptables, sysctl } from "./faults.ts";
import { type Lab, SERVER1, SERVER2 } from "./lab.ts";
import { serve, socat } from "./serve.ts";

/** What this machine runs out of: it is said, and the path is not blamed. */
export function limitTests(lab: () => Lab): void {
  describe("no_ports_here", () => {
    /** Sockets on the client's ports 40000 and 40001, of both protocols. */
    const taken = async (): Promise<AsyncDisposableStack> => {
      const stack = new AsyncDisposableStack();
      for (const port of [40_000, 40_001]) {
        const udp = ["socat", "-u", `UDP4-RECV:${port}`, "OPEN:/dev/null"];
        stack.use(await serve(lab().client, "udp", port, ...udp));
        stack.use(await socat(lab().client, `TCP4-LISTEN:${port},fork`));
      }
      return stack;
    };

    test("when all ports that a socket may get are taken, by both protocols", async () => {
      await using _taken = await taken();
      await using _range = await sysctl(lab().client, "net/ipv4/ip_local_port_range", "40000 40001");
      const { results } = await check(lab().client, [SERVER1.v4, ...ONCE]);
      expect(results.map(problemsOf)).toEqual([["no_ports_here"], ["no_ports_here"]]);
      for (const result of results) {
        expect(problemOf(result, "no_ports_here").where).toBe("this_machine");
        expect(result).toMatchObject({ received: 0, servers: null });
      }
    });

    test("is not said where some are free, and the ports of flows are among these", async () => {
      await using _taken = await taken();
      await using _range = await sysctl(lab().client, "net/ipv4/ip_local_port_range", "40000 40019");
      const { results } = await check(lab().client, [
        `tcp://${SERVER1.v4}`,
        `udp://${SERVER1.v4}:9`,
        ...QUICK,
      ]);
      expect(problemsOf(results[0]!)).toEqual([]);
      const [, port] = /10\.97\.3\.2:(\d+) > /.exec(problemOf(results[1]!, "refused").flow!)!;
      expect(Number(port)).toBeGreaterThan(40_001);
      expect(Number(port)).toBeLessThanOrEqual(40_019);
    });
  });

  test("no_descriptors_here: when they run out on the way, over UDP", async () => {
    await using passed = await iptables(lab().router, "-A FORWARD -i toclient -p udp");
    const args = ["--flows", "1000", "--count", "1", "--interval", "20ms", "--json"];
    await using running = startCheck(lab().client, [`udp://${SERVER1.v4}`, ...args]);
    await until("some flows were asked", async () => (await passed.packets()) > 5);
    await asOwner("prlimit", "--pid", String(running.pid), "--nofile=3:3");
    expect({ code: await running.exited, stderr: running.stderr }).toEqual({ code: 1, stderr: "" });
    const { results }: CheckReport = JSON.parse(running.stdout);
    expect(problemsOf(results[0]!)).toEqual(["no_descriptors_here"]);
    expect(problemOf(results[0]!, "no_descriptors_here").where).toBe("this_machine");
    expect(results[0]!.flowsAnswered).toBeGreaterThan(5);
    expect(results[0]).toMatchObject({ lost: 0, sent: results[0]!.flowsAnswered });
  });

  test("no_descriptors_here: when they run out on the way, over TCP", async () => {
    // Held in its first flow by a server that takes its time, the process may open nothing more from then on.
    await using _slow = await socat(
      lab().server2,
      "TCP4-LISTEN:7,fork,reuseaddr",
      "SYSTEM:sleep 1; exec cat",
    );
    const args = [`tcp://${SERVER2.v4}:7`, ...QUICK, "--timeout", "10s", "--json"];
    await using running = startCheck(lab().client, args);
    await until("its first flow is connected", async () => {
      const sockets = await lab().server2.run("cat", "/proc/net/tcp");
      return /^ +\d+: \S+:0007 \S+ 01 /m.test(sockets);
    });
    expect(readdirSync(`/proc/${running.pid}/fd`).length).toBeGreaterThan(3);
    await asOwner("prlimit", "--pid", String(running.pid), "--nofile=3:3");
    expect({ code: await running.exited, stderr: running.stderr }).toEqual({ code: 1, stderr: "" });
    const { results }: CheckReport = JSON.parse(running.stdout);
    expect(problemsOf(results[0]!)).toEqual(["no_descriptors_here"]);
    expect(problemOf(results[0]!, "no_descriptors_here").where).toBe("this_machine");
    expect(results[0]).toMatchObject({ flowsAnswered: 1, lost: 0 });
  });
}

/** Whoever runs a check may lower its limits; root of a container may not. */
async function asOwner(...command: string[]): Promise<void> {
  const words = [...ORDINARY.split(" "), ...command];
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const errors = await child.stderr.text();
  if ((await child.exited) !== 0) throw new Error(errors);
}
