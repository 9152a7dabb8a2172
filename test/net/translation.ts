import { describe, expect, test } from "bun:test";
import type { CheckResult } from "../../src/diagnose/result.ts";
import { check, checkOne, noteOf, notesOf, ONCE, problemOf, problemsOf, QUICK } from "./check.ts";
import { destination, type Fault, forgetFlows, ip6tables, iptables, service, together } from "./faults.ts";
import { CLIENT, type Lab, SERVER1, SERVER2, VIRTUAL } from "./lab.ts";

/** Addresses that are changed on the way: what the banner tells of them, and the spread over a Service's servers. */

/** Each with so many flows and one echo a flow: the spread is what counts. */
const flows = (count: number): string[] => [
  ...["--flows", String(count), "--count", "1", "--interval", "1ms"],
  ...["--timeout", "1s", "--bulk", "1KiB"],
];

export function translationTests(lab: () => Lab): void {
  describe("source_translated", () => {
    /** The router gives the client another end, e.g. `MASQUERADE`. */
    const translate = async (how: string): Promise<Fault> => {
      const udp = await iptables(lab().router, `-t nat -A POSTROUTING -o toserver1 -p udp -j ${how}`);
      const tcp = await iptables(lab().router, `-t nat -A POSTROUTING -o toserver1 -p tcp -j ${how}`);
      return together({ [Symbol.asyncDispose]: () => forgetFlows(lab().router) }, udp, tcp);
    };

    test.each([
      ["the address alone", "SNAT --to-source 10.97.1.1", "10.97.1.1", true, false],
      ["address and port", "SNAT --to-source 10.97.1.1:2000-2999", "10.97.1.1", true, true],
      ["the port alone", `SNAT --to-source ${CLIENT.v4}:2000-2999`, CLIENT.v4, false, true],
    ])("%s", async (_what, how, seen, addressTranslated, portTranslated) => {
      await using _nat = await translate(how);
      const { results } = await check(lab().client, [SERVER1.v4, ...QUICK]);
      expect(results).toHaveLength(2);
      for (const result of results) {
        expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({
          problems: [],
          notes: ["source_translated"],
        });
        expect(result.source).toEqual({ own: CLIENT.v4, seen: [seen], addressTranslated, portTranslated });
        expect(noteOf(result, "source_translated").seen).toStartWith(seen);
      }
    });

    test("is said over IPv6 too", async () => {
      await using _nat = await ip6tables(lab().router, "-t nat -A POSTROUTING -o toserver1 -j MASQUERADE");
      const { results } = await check(lab().client, [SERVER1.v6, ...QUICK]);
      for (const result of results) {
        expect(notesOf(result)).toEqual(["source_translated"]);
        expect(result.source).toMatchObject({ seen: ["fd97:1::1"], addressTranslated: true });
      }
      await forgetFlows(lab().router);
    });
  });

  describe("destination_translated", () => {
    test.each(["tcp", "udp"] as const)("over %s, and the source is left as it is", async (protocol) => {
      const port = protocol === "tcp" ? 1234 : 5678;
      const rule = { protocol, address: VIRTUAL.v4, port: 80, backends: [`${SERVER2.v4}:${port}`] };
      await using _service = await service(lab().router, rule);
      const result = await checkOne(lab().client, [`${protocol}://${VIRTUAL.v4}:80`, ...QUICK]);
      expect({ problems: problemsOf(result), notes: notesOf(result) }).toEqual({
        problems: [],
        notes: ["destination_translated"],
      });
      expect(result.destination).toEqual({ asked: `${VIRTUAL.v4}:80`, translated: true });
      expect(result.servers).toEqual([{ server: `${SERVER2.v4}:${port}`, pod: null, node: null, flows: 3 }]);
      expect(result.source).toMatchObject({ addressTranslated: false, portTranslated: false });
    });

    test("by the port alone is one too, over IPv6", async () => {
      const end = `[${SERVER1.v6}]`;
      const rule = { protocol: "udp", address: SERVER1.v6, port: 80, backends: [`${end}:5678`] } as const;
      await using _service = await service(lab().router, rule);
      const result = await checkOne(lab().client, [`udp://${end}:80`, ...QUICK]);
      expect(notesOf(result)).toEqual(["destination_translated"]);
      expect(result.destination).toEqual({ asked: `${end}:80`, translated: true });
    });
  });

  describe("uneven", () => {
    const both = (protocol: "tcp" | "udp", every: number): Promise<Fault> => {
      const port = protocol === "tcp" ? 1234 : 5678;
      const backends = [`${SERVER1.v4}:${port}`, `${SERVER2.v4}:${port}`];
      return service(lab().router, { protocol, address: VIRTUAL.v4, port, backends, every });
    };
    const spread = (servers: readonly { server: string | null; flows: number }[] | null): object =>
      Object.fromEntries(servers!.map((each) => [each.server, each.flows]));
    /**
     * What check says of so many flows of which server 1 gets one in `every`. A source port may come that the server knows
     * (once in some hundred runs): that flow is asked again, and the next one's turn is another. Then all is asked again.
     */
    const dealt = async (protocol: "tcp" | "udp", count: number, every: number): Promise<CheckResult> => {
      const port = protocol === "tcp" ? 1234 : 5678;
      const first = Math.ceil(count / every);
      const planned = { [`${SERVER1.v4}:${port}`]: first, [`${SERVER2.v4}:${port}`]: count - first };
      for (let tries = 3; ; tries--) {
        await using _service = await both(protocol, every);
        const result = await checkOne(lab().client, [`${protocol}://${VIRTUAL.v4}`, ...flows(count)]);
        if (tries === 1 || Bun.deepEquals(spread(result.servers), planned)) {
          expect(spread(result.servers)).toEqual(planned);
          return result;
        }
      }
    };

    test.each(["tcp", "udp"] as const)("is not said of ten and ten, over %s", async (protocol) => {
      const result = await dealt(protocol, 20, 2);
      expect(problemsOf(result)).toEqual([]);
      expect(notesOf(result)).toEqual(["destination_translated"]);
    });

    test("is not said of 3 and 17, which chance gives once in 388 times", async () => {
      const result = await dealt("udp", 20, 7);
      expect(notesOf(result)).toEqual(["destination_translated"]);
    });

    test("is said of 2 and 18, which it gives once in 2,485 times, and is no problem", async () => {
      const result = await dealt("udp", 20, 10);
      expect(problemsOf(result)).toEqual([]);
      expect(notesOf(result).toSorted()).toEqual(["destination_translated", "uneven"]);
    });

    test.each(["tcp", "udp"] as const)(
      "is said of 2 and 38, over %s, and is no problem",
      async (protocol) => {
        const port = protocol === "tcp" ? 1234 : 5678;
        const result = await dealt(protocol, 40, 20);
        expect(problemsOf(result)).toEqual([]);
        expect(result.servers![0]!.server).toBe(`${SERVER2.v4}:${port}`); // the busiest first
        expect(notesOf(result).toSorted()).toEqual(["destination_translated", "uneven"]);
        expect(noteOf(result, "uneven").says).toMatch(/\b38\b/);
      },
    );
  });

  describe("a Service with two servers, one of which is gone", () => {
    test.each([
      ["udp", ["lost"]],
      ["tcp", ["timeout"]],
    ] as const)(
      "over %s: the flow that is named is one that conntrack sent there",
      async (protocol, codes) => {
        const port = protocol === "tcp" ? 1234 : 5678;
        const backends = [`${SERVER1.v4}:${port}`, `${SERVER2.v4}:${port}`];
        await using _service = await service(lab().router, { protocol, address: VIRTUAL.v4, port, backends });
        await using _gone = await iptables(lab().server1, "-A INPUT -i eth0 -j DROP");
        // Behind the router, which remembers nothing of what it drops itself. The first of two flows goes there; over TCP
        // a connect waits 8 s at least.
        const args = [
          "--flows",
          "2",
          "--count",
          "3",
          "--interval",
          "2ms",
          "--timeout",
          "500ms",
          "--bulk",
          "1KiB",
        ];
        const result = await checkOne(lab().client, [`${protocol}://${VIRTUAL.v4}`, ...args]);
        expect(problemsOf(result)).toEqual([...codes]);
        expect(result).toMatchObject({ flows: 2, flowsAnswered: 1 });
        expect(result.servers).toMatchObject([{ server: `${SERVER2.v4}:${port}`, flows: 1 }]);
        if (protocol === "udp") expect(result).toMatchObject({ sent: 6, received: 3, lost: 3 });
        const { flow } = problemOf(result, codes[0]);
        const [, own] = /^\w+ 10\.97\.3\.2:(\d+) > 198\.51\.100\.7:\d+$/.exec(flow!)!;
        const entries = await lab().router.run("conntrack", "-L", "-p", protocol);
        const [entry] = entries.split("\n").filter((line) => line.includes(` sport=${own} dport=${port} `));
        expect(entry).toContain(` src=${SERVER1.v4} `); // whose answer it waits for
      },
    );
  });

  test("a stale entry keeps one source port at a server that is gone, and no other", async () => {
    const { router, client } = lab();
    const end = { protocol: "udp", address: VIRTUAL.v4, port: 5678 } as const;
    const ask = (...args: string[]) => checkOne(client, [`udp://${VIRTUAL.v4}`, ...ONCE, ...args]);
    const held = ["--source-port", "41234"];
    await using after = new AsyncDisposableStack();
    after.defer(() => forgetFlows(router));
    {
      await using _before = await destination(router, { ...end, backends: [`${SERVER1.v4}:5678`] });
      expect((await ask(...held)).servers).toMatchObject([{ server: `${SERVER1.v4}:5678` }]);
    }
    // The rule moves, as kube-proxy moves it; what conntrack knows of the flow stays.
    after.use(await destination(router, { ...end, backends: [`${SERVER2.v4}:5678`] }));
    after.use(await iptables(router, "-A FORWARD -o toserver1 -j DROP"));
    const stale = await ask(...held);
    expect(problemsOf(stale)).toEqual(["timeout"]);
    expect(problemOf(stale, "timeout").flow).toBe(`udp ${CLIENT.v4}:41234 > ${VIRTUAL.v4}:5678`);
    expect((await ask()).servers).toMatchObject([{ server: `${SERVER2.v4}:5678` }]);
    await router.run("conntrack", "-D", "-p", "udp", "--orig-port-src", "41234");
    const mended = await ask(...held);
    expect(problemsOf(mended)).toEqual([]);
    expect(mended.servers).toMatchObject([{ server: `${SERVER2.v4}:5678` }]);
  });
}
