import { describe, expect, test } from "bun:test";
import { iptables } from "../faults.ts";
import { type Lab, SERVER1, SERVER2 } from "../lab.ts";
import { Watching } from "./watching.ts";

/** Sessions that end: cut by the path, drained by their server. */

const QUICK = ["--interval", "50ms", "--timeout", "500ms"];

export function endingTests(lab: () => Lab): void {
  test("a path that resets: reset, refused while it lasts, and back", async () => {
    await using watching = new Watching(lab().client, [`tcp://${SERVER1.v4}`, ...QUICK]);
    await watching.answered("tcp-held", "tcp-new");
    const rule = `-I FORWARD -p tcp -d ${SERVER1.v4} --dport 1234 -j REJECT --reject-with tcp-reset`;
    const resets = await iptables(lab().router, rule);
    const reset = await watching.hears("tcp-held", "reset");
    expect(reset).toMatchObject({ server: `${SERVER1.v4}:1234`, by: null });
    expect(reset.bytes! % 64).toBe(0);
    await watching.hears("tcp-held", "refused");
    await watching.hears("tcp-new", "refused");
    await resets[Symbol.asyncDispose]();
    const back = await watching.hears("tcp-held", "back");
    expect(back.server).toBe(`${SERVER1.v4}:1234`);
    expect(back.at - reset.at).toBeCloseTo(back.silentMs! / 1000, 0);
    const { exitCode, flows } = await watching.stop();
    expect(exitCode).toBe(1);
    expect(flows["tcp-held"]!.outages).toMatchObject({ count: 1, longestMs: back.silentMs! });
  });

  describe("a server that drains", () => {
    const start = () =>
      lab().server2.startServer([
        ...["--tcp-port", "4321", "--udp-port", "4322", "--admin-port", "off"],
        ...["--drain-timeout", "1s"],
      ]);

    test("closes the session that is held, refuses newcomers, and the next one is told as a new session", async () => {
      await using old = await start();
      await using watching = new Watching(lab().client, [
        ...[`tcp://${SERVER2.v4}:4321`, `udp://${SERVER2.v4}:4322`],
        ...QUICK,
      ]);
      await watching.answered("tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new");
      old.kill("SIGTERM");
      const closed = await watching.hears("tcp-held", "closed");
      expect(closed.bytes).toBeGreaterThan(0);
      await watching.hears("tcp-held", "refused");
      await watching.hears("udp-fixed", "refused");
      await old.exited;
      await using _next = await start();
      for (const flow of ["tcp-held", "udp-fixed", "udp-connected"] as const)
        await watching.hears(flow, "back");
      const { exitCode } = await watching.process.stop("SIGTERM");
      expect(exitCode).toBe(1);
      const summaries = watching.lines.filter(({ event }) => event === "summary");
      expect(summaries.map(({ target }) => target)).toEqual([
        `tcp://${SERVER2.v4}:4321`,
        `udp://${SERVER2.v4}:4322`,
      ]);
    });

    test("an outage that is not longer than --max-outage is well", async () => {
      await using old = await start();
      await using watching = new Watching(lab().client, [
        ...[`tcp://${SERVER2.v4}:4321`, ...QUICK],
        ...["--probes", "tcp-held,tcp-new", "--max-outage", "30s"],
      ]);
      await watching.answered("tcp-held", "tcp-new");
      await old.stop();
      await watching.hears("tcp-new", "refused");
      await using _next = await start();
      for (const flow of ["tcp-held", "tcp-new"] as const) await watching.hears(flow, "back");
      const { exitCode, flows } = await watching.stop();
      for (const flow of ["tcp-held", "tcp-new"]) expect(flows[flow]!.outages.count).toBe(1);
      expect(exitCode).toBe(0);
    });
  });
}
