import { describe, expect, test } from "bun:test";
import { until } from "../../harness.ts";
import { forgetFlows, iptables, route } from "../faults.ts";
import { CLIENT, type Lab, ROUTER, SERVER1, SERVER2 } from "../lab.ts";
import { relay } from "../serve.ts";
import { Watching } from "./watching.ts";

/** Why a flow is silent, and who said so; translations that change. */

const ALL = ["tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new"] as const;

const QUICK = ["--interval", "50ms", "--timeout", "500ms"];

export function reasonTests(lab: () => Lab): void {
  /** The first line of a flow that gives that reason. */
  const because = async (watching: Watching, flow: string, why: string): Promise<void> => {
    await watching.process.waitForLog((line) => line["flow"] === flow && line["why"] === why);
  };

  test("nothing passes: the path is gone for all, and a session that was held has lost nothing", async () => {
    await using watching = new Watching(lab().client, [SERVER1.v4, ...QUICK]);
    await watching.answered(...ALL);
    const drop = await iptables(lab().router, `-I FORWARD -d ${SERVER1.v4} -j DROP`);
    for (const flow of ["udp-fixed", "udp-connected", "tcp-held"]) await because(watching, flow, "path");
    await drop[Symbol.asyncDispose]();
    for (const flow of ALL) await watching.hears(flow, "back");
    const { exitCode, flows } = await watching.stop();
    expect(exitCode).toBe(1);
    expect(flows["tcp-held"]).toMatchObject({ lost: 0, outages: { count: 1 } });
    const held = watching.eventsOf("tcp-held").filter((event) => event !== "silent");
    expect(held).toEqual(["answered", "back"]);
    expect(watching.lines.filter(({ event }) => event === "stuck")).toEqual([]);
  });

  test("one protocol alone is dropped: the other one is answered", async () => {
    await using watching = new Watching(lab().client, [SERVER1.v4, ...QUICK]);
    await watching.answered(...ALL);
    await using _drop = await iptables(lab().router, `-I FORWARD -p udp -d ${SERVER1.v4} -j DROP`);
    for (const flow of ["udp-fixed", "udp-connected"]) await because(watching, flow, "protocol");
    const { flows } = await watching.stop();
    expect(flows["tcp-held"]!.outages.count).toBe(0);
    expect(flows["tcp-new"]!.outages.count).toBe(0);
    expect(watching.linesOf("tcp-held").map(({ event }) => event)).toEqual(["answered"]);
  });

  test("only new flows are dropped: those that were there go on, and newcomers say so", async () => {
    // Conntrack follows flows from here on: what it does not know yet would be new.
    await using _follow = await iptables(lab().router, "-A FORWARD -m conntrack --ctstate INVALID -j DROP");
    await using watching = new Watching(lab().client, [`udp://${SERVER1.v4}`, ...QUICK]);
    await watching.answered("udp-fixed", "udp-connected", "udp-new");
    const rule = `-I FORWARD -p udp -d ${SERVER1.v4} -m conntrack --ctstate NEW -j DROP`;
    await using _drop = await iptables(lab().router, rule);
    await because(watching, "udp-new", "new_flows");
    const { flows } = await watching.stop();
    expect(flows["udp-fixed"]!.outages.count).toBe(0);
  });

  test.each([
    ["refused", "-p udp -j REJECT --reject-with icmp-port-unreachable"],
    ["unreachable", "-p udp -j REJECT --reject-with icmp-host-unreachable"],
  ])("a router's ICMP: %s, by whom", async (code, rule) => {
    await using watching = new Watching(lab().client, [`udp://${SERVER1.v4}`, ...QUICK]);
    await watching.answered("udp-fixed", "udp-connected", "udp-new");
    await using _reject = await iptables(lab().router, `-I FORWARD -d ${SERVER1.v4} ${rule}`);
    for (const flow of ["udp-fixed", "udp-connected", "udp-new"] as const) {
      const said = await watching.hears(flow, code === "refused" ? "refused" : "problem");
      expect(said).toMatchObject({ by: ROUTER.v4, ...(code === "refused" ? {} : { code }) });
      expect(said.ends).toMatch(
        new RegExp(`^udp ${RegExp.escape(CLIENT.v4)}:\\d+ > ${RegExp.escape(SERVER1.v4)}:5678$`),
      );
    }
    for (const flow of ["udp-fixed", "udp-connected"]) await because(watching, flow, code);
    expect((await watching.stop()).exitCode).toBe(1);
  });

  test("the router has no way any more: a new session says so too", async () => {
    await using watching = new Watching(lab().client, [`tcp://${SERVER1.v4}`, ...QUICK]);
    await watching.answered("tcp-held", "tcp-new");
    await using _route = await route(lab().router, `unreachable ${SERVER1.v4}`);
    expect(await watching.hears("tcp-new", "problem")).toMatchObject({ code: "unreachable", by: ROUTER.v4 });
    await because(watching, "tcp-held", "unreachable");
    await watching.stop();
  });

  test("a refusal of the flow itself counts where those of new flows are rationed, as Linux does by default", async () => {
    const rationed = "echo 6168 > /proc/sys/net/ipv4/icmp_ratemask";
    await lab().server2.configure(rationed);
    try {
      await using server = await lab().server2.startServer(["--udp-port", "4323", "--admin-port", "off"]);
      await using watching = new Watching(lab().client, [`udp://${SERVER2.v4}:4323`, ...QUICK]);
      await watching.answered("udp-fixed", "udp-connected", "udp-new");
      server.kill("SIGKILL");
      for (const flow of ["udp-fixed", "udp-connected"] as const)
        expect(await watching.hears(flow, "silent")).toMatchObject({ why: "refused", by: SERVER2.v4 });
      await watching.stop();
    } finally {
      await lab().server2.configure("echo 0 > /proc/sys/net/ipv4/icmp_ratemask");
    }
  });

  describe("a translation", () => {
    test("that changes is said with what was seen before and now", async () => {
      const snat = (to: string): string =>
        `-t nat -I POSTROUTING -o toserver1 -p udp -j SNAT --to-source ${to}`;
      await using watching = new Watching(lab().client, [`udp://${SERVER1.v4}`, ...QUICK]);
      await watching.answered("udp-fixed", "udp-connected", "udp-new");
      await using _snat = await iptables(lab().router, snat("10.97.1.1"));
      await forgetFlows(lab().router);
      for (const flow of ["udp-fixed", "udp-connected"] as const) {
        const { from, to, seen } = await watching.hears(flow, "translation");
        expect(from).toStartWith(`${CLIENT.v4}:`);
        expect(to).toStartWith("10.97.1.1:");
        expect(seen).toBe(to!);
      }
      expect(await watching.hears("udp-new", "translation")).toMatchObject({
        from: CLIENT.v4,
        to: "10.97.1.1",
      });
      const { exitCode, flows } = await watching.stop();
      await forgetFlows(lab().router);
      expect(flows["udp-fixed"]!.outages.count).toBe(0);
      expect(exitCode).toBe(0); // it is worth a line, and nothing was lost
    });
  });

  describe("payloads that are not what was sent", () => {
    const PORT = 7000;
    const HELD = ["--probes", "udp-fixed,udp-connected"];

    test.each([
      ["doubles", "duplicated"],
      ["corrupts", "corrupted"],
      ["crosses", "foreign"],
    ])("a path that %s: %s, and it exits 1", async (fault, code) => {
      await using _relay = await relay(lab().router, fault, PORT, SERVER1.v4, 5678);
      await using watching = new Watching(lab().client, [`udp://${ROUTER.v4}:${PORT}`, ...QUICK, ...HELD]);
      const problem = await watching.process.waitForLog((line) => line["event"] === "problem");
      expect(problem).toMatchObject({ code, count: 1, target: `udp://${ROUTER.v4}:${PORT}` });
      const { exitCode, summary, flows } = await watching.stop();
      expect(exitCode).toBe(1);
      expect(summary.problems[code]).toBeGreaterThan(0);
      // What came changed or twice is counted as that, and not as lost as well.
      if (code !== "foreign") expect(flows["udp-fixed"]).toMatchObject({ lost: 0, outages: { count: 0 } });
    });

    test("a path that swaps is well", async () => {
      await using _relay = await relay(lab().router, "swaps", PORT, SERVER1.v4, 5678);
      await using watching = new Watching(lab().client, [
        ...[`udp://${ROUTER.v4}:${PORT}`, ...QUICK, ...HELD],
        ...["--duration", "2s"],
      ]);
      expect(await watching.process.exited).toBe(0);
      expect(watching.lines.map(({ event }) => event)).toEqual(["answered", "answered", "summary"]);
    });
  });

  test("with one probe alone a silence has no reason, and is told", async () => {
    await using watching = new Watching(lab().client, [
      `udp://${SERVER1.v4}`,
      ...QUICK,
      "--probes",
      "udp-fixed",
    ]);
    await watching.answered("udp-fixed");
    const drop = await iptables(lab().router, `-I FORWARD -p udp -d ${SERVER1.v4} -j DROP`);
    expect(await watching.hears("udp-fixed", "silent")).toMatchObject({ why: null });
    await drop[Symbol.asyncDispose]();
    await watching.hears("udp-fixed", "back");
    await until("nothing else is said", () => watching.eventsOf("udp-fixed").length === 3);
    await watching.stop();
  });
}
