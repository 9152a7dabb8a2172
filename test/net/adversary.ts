import { describe, expect, test } from "bun:test";
import { check, checkOne, checkText, notesOf, problemOf, problemsOf, QUICK } from "./check.ts";
import { CLIENT, type Lab, SERVER1, SERVER2 } from "./lab.ts";
import { badServer, socat } from "./serve.ts";

/** Servers and strangers that want `check` to say what is not so, to fall over, or never to end. */

const STRANGER = new URL("./stranger.ts", import.meta.url).pathname;
const PORT = 7007;
const TARGET = `${SERVER2.v4}:${PORT}`;

export function adversaryTests(lab: () => Lab): void {
  /** Such a server on server2. */
  const liar = (kind: string) => badServer(lab().server2, "tcp", PORT, "liar", kind, "0.0.0.0", String(PORT));

  describe("strangers", () => {
    test("who shout at our port change no figure", async () => {
      using _loud = lab().server2.talk(process.execPath, STRANGER, CLIENT.v4, "41000", "64");
      const args = [
        `udp://${SERVER1.v4}`,
        ...QUICK,
        "--flows",
        "1",
        "--count",
        "50",
        "--source-port",
        "41000",
      ];
      const result = await checkOne(lab().client, args);
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({
        sent: 50,
        received: 50,
        lost: 0,
        corrupted: 0,
        foreign: 0,
        duplicated: 0,
      });
    });
  });

  describe("a stranger's flood", () => {
    test.each(["linux", "bun"])(
      "that leaves no room for answers is said, and here, by %s",
      async (engine) => {
        const flood = () =>
          lab().server2.talk(process.execPath, STRANGER, CLIENT.v4, "41001", "1400", "5000");
        using _one = flood();
        using _two = flood();
        const result = await checkOne(lab().client, [
          ...[`udp://${SERVER1.v4}`, ...QUICK, "--flows", "1", "--count", "50"],
          ...["--source-port", "41001", "--timeout", "300ms", "--engine", engine],
        ]);
        expect(result.sent).toBe(50);
        expect(result.received + result.lost).toBe(50);
        expect(result.lost).toBeGreaterThan(0);
        expect(problemsOf(result)).toEqual(["lost"]);
        expect(problemOf(result, "lost")).toMatchObject({ count: result.lost, where: "this_machine" });
        expect(problemOf(result, "lost").says).toMatch(/while this machine had no room for [\d,]+ that came/);
        expect(result.ok).toBe(false);
      },
    );
  });

  describe("banners", () => {
    test("that lie are told as they are, and are no fault of the path", async () => {
      await using _liar = await liar("lies");
      const { results } = await check(lab().client, [TARGET, ...QUICK]);
      for (const result of results) {
        expect(problemsOf(result)).toEqual([]);
        expect(notesOf(result)).toEqual(["source_translated", "destination_translated"]);
        expect(result.servers).toEqual([
          { server: "203.0.113.9:9", pod: "somebody-else", node: "nowhere", flows: 3 },
        ]);
        expect(result.source.seen).toEqual(["192.0.2.1"]);
      }
    });

    test.each(["escapes", "turnsAround"])("cannot do anything to a terminal: %s", async (kind) => {
      await using _liar = await liar(kind);
      for (const form of [[], ["--json"]]) {
        const { exitCode, stdout, stderr } = await checkText(lab().client, [TARGET, ...QUICK, ...form]);
        expect(exitCode).toBeLessThanOrEqual(1);
        expect(stderr).toBe("");
        expect(stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      }
    });

    test.each(["longBanner", "longLine"])("too long to be one are none: %s", async (kind) => {
      await using _liar = await liar(kind);
      const { results } = await check(lab().client, [TARGET, ...QUICK]);
      for (const result of results) {
        expect(result.servers).toBeNull();
        expect(result.source.seen).toBeNull();
      }
    });

    test.each(["greetsAlways", "greetsLate"])(
      "out of place do not make an echo wrong over UDP: %s",
      async (kind) => {
        await using _liar = await liar(kind);
        const result = await checkOne(lab().client, [`udp://${TARGET}`, ...QUICK]);
        expect(result).toMatchObject({ sent: 15, received: 15, lost: 0, corrupted: 0 });
      },
    );
  });

  describe("a server", () => {
    test("that answers every second flow alone: each flow is one thing or the other", async () => {
      await using _liar = await liar("everySecond");
      const args = [TARGET, ...QUICK, "--flows", "4", "--timeout", "400ms"];
      const { results } = await check(lab().client, args);
      const [tcp, udp] = results;
      expect(problemsOf(tcp!)).toEqual(["silent"]);
      expect(problemsOf(udp!)).toEqual(["lost"]);
      for (const result of results) expect(result).toMatchObject({ flows: 4, flowsAnswered: 2 });
      expect(udp).toMatchObject({ sent: 20, received: 10, lost: 10, servers: null });
    });

    test("that sends 10,000 datagrams unasked: what was asked is counted right all the same", async () => {
      await using _liar = await liar("shouts");
      const result = await checkOne(lab().client, [`udp://${TARGET}`, ...QUICK, "--flows", "1"]);
      expect(problemsOf(result)).toContain("foreign");
      expect(result.sent).toBe(5);
      expect(result.received + result.lost).toBe(5);
      expect(result.duplicated + result.corrupted).toBe(0);
    });

    test.each(["tcp", "udp"])(
      "that never stops sending, over %s: it is found out, and there is an end",
      async (protocol) => {
        await using _liar = await liar("neverStops");
        const result = await checkOne(lab().client, [`${protocol}://${TARGET}`, ...QUICK]);
        expect(problemsOf(result)).toContain("foreign");
      },
    );

    test("that is no echo and never stops: the same", async () => {
      await using _yes = await socat(lab().server2, "TCP4-LISTEN:7,fork,reuseaddr", "SYSTEM:yes");
      const result = await checkOne(lab().client, [`tcp://${SERVER2.v4}:7`, ...QUICK]);
      expect(problemsOf(result)).toEqual(["foreign"]);
    });

    test("that answers with empty datagrams alone has echoed nothing", async () => {
      await using _liar = await liar("empties");
      const result = await checkOne(lab().client, [`udp://${TARGET}`, ...QUICK, "--timeout", "300ms"]);
      expect(result).toMatchObject({ received: 0, flowsAnswered: 0, ok: false });
    });
  });
}
