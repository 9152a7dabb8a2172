import { describe, expect, test } from "bun:test";
import { check, checkOne, checkText, ONCE, problemOf, problemsOf, QUICK } from "./check.ts";
import { change, iptables } from "./faults.ts";
import { type Lab, ROUTER, SERVER1, SERVER2 } from "./lab.ts";
import { serve } from "./serve.ts";

/** Names: each of their addresses is checked, and no such name is told from no answer to the question. */

const RESOLVER = `nameserver ${ROUTER.v4}\noptions timeout:1 attempts:1\n`;
const NAME_SERVER = new URL("./name-server.ts", import.meta.url).pathname;

export function nameTests(lab: () => Lab): void {
  const hosts = [SERVER1.v4, SERVER2.v4, SERVER1.v6].map((address) => `${address} both`).join("\n");

  test("each address of a name is checked by each protocol", async () => {
    const { results } = await check(lab().client, ["both", ...ONCE], { hosts });
    expect(results).toHaveLength(6);
    expect(new Set(results.map(({ address, protocol }) => `${protocol} ${address}`)).size).toBe(6);
    for (const result of results) {
      expect(problemsOf(result)).toEqual([]);
      expect(result).toMatchObject({ target: "both", name: "both" });
      expect(result.resolveMs).toBeGreaterThanOrEqual(0);
    }
  });

  test.each([
    ["-4", [SERVER1.v4, SERVER2.v4]],
    ["-6", [SERVER1.v6]],
  ])("%s chooses", async (flag, addresses) => {
    const { results } = await check(lab().client, ["udp://both", flag, ...ONCE], { hosts });
    expect(results.map(({ address }) => address).toSorted()).toEqual([...addresses].toSorted());
  });

  test("-6 of a name that has IPv4 alone is no_such_name, and no quiet IPv4", async () => {
    const { results } = await check(lab().client, ["only4", "-6", ...ONCE], {
      hosts: `${SERVER1.v4} only4`,
      resolver: "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    });
    expect(results.map(({ protocol, address }) => [protocol, address])).toEqual([
      ["tcp", null],
      ["udp", null],
    ]);
    for (const result of results) {
      expect(problemsOf(result)).toEqual(["no_such_name"]);
      expect(problemOf(result, "no_such_name").flow).toBeNull();
      expect(result).toMatchObject({ sent: 0, rttMs: null, hops: null, servers: null });
    }
  });

  test("a name with 20 addresses: 16 of them, or as many as were asked for", async () => {
    const many = Array.from({ length: 20 }, (_, at) => `10.97.1.${101 + at}`);
    const script = (verb: string): string =>
      many.map((address) => `ip address ${verb} ${address}/24 dev eth0`).join("\n");
    await using _addresses = await change(lab().server1, script("add"), script("del"));
    const options = { hosts: many.map((address) => `${address} many`).join("\n") };
    const first = await check(lab().client, ["udp://many", ...ONCE], options);
    expect(first.results).toHaveLength(16);
    const all = await check(lab().client, ["udp://many", "--max-addresses", "20", ...ONCE], options);
    expect(all.results.map(({ address }) => address).toSorted()).toEqual(many.toSorted());
    expect(all.ok && first.ok).toBe(true);
    const text = await checkText(lab().client, ["udp://many", "--max-addresses", "2", ...ONCE], options);
    expect(text.stdout).toMatch(/\b18\b/); // how many were left out is said
  });

  describe("no_such_name", () => {
    test("says that there is none, or that nobody answered: which of the two", async () => {
      await using _names = await serve(
        lab().router,
        "udp",
        53,
        process.execPath,
        NAME_SERVER,
        `known.test=${SERVER1.v4}`,
      );
      const ask = (name: string, ...args: string[]) =>
        checkOne(lab().client, [`udp://${name}`, ...args, ...ONCE], { resolver: RESOLVER });
      const known = await ask("known.test");
      expect(problemsOf(known)).toEqual([]);
      expect(known.address).toBe(SERVER1.v4);
      expect(known.resolveMs).toBeGreaterThan(0);
      const none = problemOf(await ask("unknown.test"), "no_such_name");
      const none6 = problemOf(await ask("known.test", "-6"), "no_such_name");
      await using _drop = await iptables(lab().router, "-A INPUT -p udp --dport 53 -j DROP");
      const silent = problemOf(await ask("known.test"), "no_such_name");
      expect(silent.says).not.toBe(none.says);
      expect(none6.says).not.toBe(silent.says.replaceAll("known.test", "unknown.test"));
      expect(silent.says).toMatch(/answer/);
      expect(none.says).not.toMatch(/did not answer/);
      for (const { flow } of [none, none6, silent]) expect(flow).toBeNull();
    });
  });

  describe("a link-local address", () => {
    test("is reached through its zone", async () => {
      const shown = await lab().server1.run(
        "ip",
        "-6",
        "-o",
        "address",
        "show",
        "dev",
        "eth0",
        "scope",
        "link",
      );
      const [, address] = /inet6 (fe80:\S+)\/64/.exec(shown)!;
      const { results } = await check(lab().router, [`${address}%toserver1`, ...QUICK]);
      for (const result of results) expect(problemsOf(result)).toEqual([]);
      expect(results).toHaveLength(2);
    });

    test("without a zone is a wrong question, and nothing is sent", async () => {
      const { exitCode, stdout, stderr } = await checkText(lab().client, ["fe80::1", "--json"]);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain("fe80::1%eth0");
    });
  });
}
