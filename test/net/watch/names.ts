import { expect, test } from "bun:test";
import { type Lab, ROUTER, SERVER1, SERVER2 } from "../lab.ts";
import { type Serving, serve } from "../serve.ts";
import { Watching } from "./watching.ts";

/** A name that is another address later: held flows stay, newcomers go where it is now. */

const resolver = `nameserver ${ROUTER.v4}\noptions timeout:1 attempts:1\n`;
const NAME_SERVER = new URL("../name-server.ts", import.meta.url).pathname;

export function nameTests(lab: () => Lab): void {
  const nameServer = (...known: string[]): Promise<Serving> =>
    serve(lab().router, "udp", 53, process.execPath, NAME_SERVER, ...known);

  test("held flows keep their address, newcomers follow the name, and its change and its end are said", async () => {
    const first = await nameServer(`moving.test=${SERVER1.v4}`);
    await using watching = new Watching(lab().client, ["moving.test", "--interval", "100ms", "-4"], {
      resolver,
    });
    await watching.answered("tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new");
    await first[Symbol.asyncDispose]();
    const second = await nameServer(`moving.test=${SERVER2.v4}`);
    const resolved = await watching.process.waitForLog((line) => line["event"] === "resolved");
    expect(resolved).toMatchObject({ addresses: [SERVER2.v4], target: "moving.test" });
    const isSecond = (flow: string) => (line: { [field: string]: unknown }) =>
      line["flow"] === flow &&
      line["event"] === "answered" &&
      String(line["server"]).startsWith(`${SERVER2.v4}:`);
    await watching.process.waitForLog(isSecond("udp-new"));
    await watching.process.waitForLog(isSecond("tcp-new"));
    await second[Symbol.asyncDispose]();
    await using _none = await nameServer();
    expect(await watching.hears("udp-new", "problem")).toMatchObject({ code: "no_such_name" });
    const { flows } = await watching.stop();
    for (const flow of ["tcp-held", "udp-fixed", "udp-connected"] as const) {
      expect(watching.eventsOf(flow)).toEqual(["answered"]);
      expect(flows[flow]).toMatchObject({ lost: 0, outages: { count: 0 } });
    }
    expect(flows["udp-new"]!.lost).toBeGreaterThan(0);
  });

  test("a name that is not there yet is waited for", async () => {
    const none = await nameServer();
    await using watching = new Watching(lab().client, ["udp://later.test", "--interval", "100ms", "-4"], {
      resolver,
    });
    expect(await watching.hears("udp-fixed", "problem")).toMatchObject({
      code: "no_such_name",
      address: null,
    });
    await none[Symbol.asyncDispose]();
    await using _first = await nameServer(`later.test=${SERVER1.v4}`);
    await watching.answered("udp-fixed", "udp-connected", "udp-new");
    expect((await watching.stop()).flows["udp-fixed"]!.lost).toBe(0);
  });

  test("over IPv6 by its address, and -4 or -6 of a name that has both", async () => {
    const hosts = [SERVER1.v4, SERVER1.v6].map((address) => `${address} both`).join("\n");
    for (const [args, address] of [
      [[SERVER1.v6], SERVER1.v6],
      [["both", "-6"], SERVER1.v6],
      [["both", "-4"], SERVER1.v4],
    ] as const) {
      await using watching = new Watching(lab().client, args, { hosts });
      await watching.answered("tcp-held", "tcp-new", "udp-fixed", "udp-connected", "udp-new");
      const { exitCode, summary } = await watching.stop();
      expect([exitCode, summary.address]).toEqual([0, address]);
    }
  });
}
