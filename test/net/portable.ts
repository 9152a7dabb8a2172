import { describe, expect, test } from "bun:test";
import { check, checkOne, notesOf, ONCE, problemOf, problemsOf, QUICK } from "./check.ts";
import { forgetFlows, iptables } from "./faults.ts";
import { CLIENT, type Lab, SERVER1, SERVER2 } from "./lab.ts";
import { badServer } from "./serve.ts";

/** The same questions by Bun's own sockets, as where there is no Linux: what can be seen is said, and no more. */
export function portableTests(lab: () => Lab): void {
  const BUN = ["--engine", "bun"];
  const udp = `udp://${SERVER1.v4}`;
  const tcp = `tcp://${SERVER1.v4}`;

  test("refused: by whom is not known", async () => {
    const { results } = await check(lab().client, [`${SERVER1.v4}:9`, ...ONCE, ...BUN]);
    expect(results.map(problemsOf)).toEqual([["refused"], ["refused"]]);
    for (const result of results) expect(problemOf(result, "refused").by).toBeNull();
  });

  test("timeout", async () => {
    await using _drop = await iptables(lab().router, "-A FORWARD -i toclient -p udp -j DROP");
    const result = await checkOne(lab().client, [udp, ...ONCE, ...BUN]);
    expect(problemsOf(result)).toEqual(["timeout"]);
    expect(result).toMatchObject({ sent: 2, received: 0 });
  });

  test("lost: counted exactly", async () => {
    const some = "-m length --length 92 -m statistic --mode nth --every 5 --packet 4";
    await using drop = await iptables(lab().router, `-A FORWARD -i toclient -p udp ${some} -j DROP`);
    const args = ["--flows", "2", "--count", "20", "--interval", "2ms", "--timeout", "500ms"];
    const result = await checkOne(lab().client, [udp, ...args, ...BUN]);
    expect(problemsOf(result)).toEqual(["lost"]);
    expect(result).toMatchObject({ sent: 40, received: 32, lost: 8 });
    expect(await drop.packets()).toBe(8);
  });

  test("other_address", async () => {
    await using _echo = await badServer(lab().server1, "udp", 7, "other-echo", "0.0.0.0", "7");
    const result = await checkOne(lab().client, [`udp://${SERVER1.otherV4}:7`, ...QUICK, ...BUN]);
    expect(problemsOf(result)).toEqual(["other_address"]);
    expect(problemOf(result, "other_address").from).toBe(`${SERVER1.v4}:7`);
  });

  test("source_translated, by both protocols", async () => {
    await using _nat = await iptables(lab().router, "-t nat -A POSTROUTING -o toserver1 -j MASQUERADE");
    const { results } = await check(lab().client, [SERVER1.v4, ...QUICK, ...BUN]);
    for (const result of results) {
      expect(notesOf(result)).toEqual(["source_translated"]);
      expect(result.source).toMatchObject({ own: CLIENT.v4, seen: ["10.97.1.1"], addressTranslated: true });
    }
    await forgetFlows(lab().router);
  });

  test("silent: where bytes are swallowed once the connection is there", async () => {
    const rule = "-A FORWARD -o toclient -p tcp -m length --length 90: -j DROP";
    await using _drop = await iptables(lab().router, rule);
    const result = await checkOne(lab().client, [tcp, ...QUICK, "--flows", "1", ...BUN]);
    expect(problemsOf(result)).toEqual(["silent"]);
  });

  test("SYNs that are lost are not seen, and the connect's time shows it", async () => {
    const rule = "-A FORWARD -i toclient -p tcp --syn -m statistic --mode nth --every 2 --packet 0 -j DROP";
    await using _drop = await iptables(lab().router, rule);
    const result = await checkOne(lab().client, [tcp, ...QUICK, "--flows", "1", ...BUN]);
    expect(result.synRetransmits).toBeNull();
    expect(result.connectMs!.min).toBeGreaterThan(900);
    expect(result.flowsAnswered).toBe(1);
  });

  describe("servers that are wrong on purpose", () => {
    test.each([
      ["resets", 320, "reset"],
      ["closes", 320, "closed"],
      ["corrupts", 320, "corrupted"],
      ["cutsTail", 640 + 65_536 + 1000, "half_close_cut"],
    ] as const)("%s after %d bytes: %s", async (fault, bytes, code) => {
      const words = ["tcp", fault, SERVER2.v4, "7001", String(bytes)] as const;
      await using _server = await badServer(lab().server2, "tcp", 7001, ...words);
      const args = [`tcp://${SERVER2.v4}:7001`, ...QUICK, "--count", "10", ...BUN];
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([code]);
      if (code !== "corrupted")
        expect(problemOf(result, code).bytes).toBe(code === "half_close_cut" ? 1000 : 320);
    });
  });
}
