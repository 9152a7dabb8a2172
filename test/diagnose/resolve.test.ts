import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Lookup, type Resolution, resolveName } from "../../src/diagnose/resolve.ts";
import { formatEndpoint } from "../../src/net/endpoint.ts";
import { Host, type Talk } from "../clients/network.ts";
import { MAIN } from "../harness.ts";

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** A lookup that fails as Bun's does. */
function failing(code: string): Lookup {
  return () => Promise.reject(Object.assign(new Error("no"), { code }));
}

function found(resolution: Resolution): string[] {
  if (resolution.kind !== "found") throw new Error(`${resolution.kind}`);
  return resolution.addresses.map(formatEndpoint);
}

describe("what the resolver says", () => {
  test("addresses, each once, in its order", async () => {
    const lookup: Lookup = async () => ["fd00::2", "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.1"];
    expect(found(await resolveName("a", null, { lookup }))).toEqual([
      "[fd00::2]:0",
      "10.0.0.1:0",
      "10.0.0.2:0",
    ]);
    expect(found(await resolveName("a", 4, { lookup }))).toEqual(["10.0.0.1:0", "10.0.0.2:0"]);
    expect(found(await resolveName("a", 6, { lookup }))).toEqual(["[fd00::2]:0"]);
  });

  test("no such name is told from an error of its own, and from no answer in time", async () => {
    for (const code of ["DNS_ENOTFOUND", "DNS_ENODATA", "ENOTFOUND"])
      expect(await resolveName("a", null, { lookup: failing(code) })).toMatchObject({
        kind: "none",
        otherFamily: false,
      });
    for (const code of ["DNS_ETIMEOUT", "DNS_ESERVFAIL", "DNS_EBADRESP", "EAI_AGAIN"])
      expect(await resolveName("a", null, { lookup: failing(code) })).toMatchObject({
        kind: "unknown",
        word: code,
      });
    const silent: Lookup = () => new Promise(() => {});
    expect(await resolveName("a", null, { lookup: silent, timeoutMs: 20 })).toMatchObject({
      kind: "unknown",
      word: "",
    });
  });

  test("an answer without an address of the version asked for is none, and the other version is named", async () => {
    const lookup: Lookup = async (_host, family) => (family === 6 ? [] : ["10.0.0.1"]);
    expect(await resolveName("a", 6, { lookup })).toMatchObject({ kind: "none", otherFamily: true });
    const nothing: Lookup = async () => [];
    expect(await resolveName("a", 6, { lookup: nothing })).toMatchObject({
      kind: "none",
      otherFamily: false,
    });
    expect(await resolveName("a", null, { lookup: nothing })).toMatchObject({
      kind: "none",
      otherFamily: false,
    });
  });
});

const ZONE = {
  "server1.headless.echo.svc.cluster.local": ["10.244.1.2", "fd00::12"],
  "headless.echo.svc.cluster.local": ["10.244.1.2", "10.244.2.2", "10.244.3.2"],
  "old.test": ["10.0.0.1"],
  "new.test": ["fd00::1"],
};

const RESOLVER = `nameserver 127.0.0.1
search echo.svc.cluster.local svc.cluster.local cluster.local
options ndots:5 timeout:1 attempts:1
`;

const HOSTS = `127.0.0.1 localhost
::1 localhost
10.9.8.7 in-a-file
fd09::7 in-a-file
`;

// The system's resolver reads /etc/resolv.conf and asks port 53: in a network of the test's own, and with its own view of files.
describe.if(process.platform === "linux")("the system's resolver", () => {
  const scratch = mkdtempSync("/tmp/echo-names-");
  let host: Host;
  let server: Talk;

  beforeAll(async () => {
    writeFileSync(join(scratch, "resolv.conf"), RESOLVER);
    writeFileSync(join(scratch, "hosts"), HOSTS);
    host = await Host.make();
    server = host.talk(process.execPath, script("./dns-server.ts"), JSON.stringify(ZONE));
    await server.hears("up");
  });
  afterAll(async () => {
    server[Symbol.dispose]();
    await host[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true });
  });

  /** Runs a command on the host, with the test's own files in /etc. */
  function inside(...command: string[]): Promise<string> {
    const own = `mount --bind ${scratch}/resolv.conf /etc/resolv.conf; mount --bind ${scratch}/hosts /etc/hosts; exec "$@"`;
    return host.run("unshare", "--mount", "sh", "-ec", own, "sh", ...command);
  }

  async function ask(...words: string[]): Promise<(Resolution & { addresses?: string[] })[]> {
    return JSON.parse(await inside(process.execPath, script("./names.ts"), ...words));
  }

  test("search domains of a Pod, /etc/hosts, several addresses, one version", async () => {
    const said = await ask(
      "server1.headless,0",
      "headless,0",
      "in-a-file,0",
      "in-a-file,6",
      "old.test,0",
      "localhost,4",
    );
    expect(said.map(({ addresses }) => addresses?.toSorted())).toEqual([
      ["10.244.1.2:0", "[fd00::12]:0"],
      ["10.244.1.2:0", "10.244.2.2:0", "10.244.3.2:0"],
      ["10.9.8.7:0", "[fd09::7]:0"],
      ["[fd09::7]:0"],
      ["10.0.0.1:0"],
      ["127.0.0.1:0"],
    ]);
  });

  test("no such name, and a name of the other version alone", async () => {
    const said = await ask("nobody.test,0", "nobody,4", "old.test,6", "new.test,4");
    expect(said).toMatchObject([
      { kind: "none", otherFamily: false },
      { kind: "none", otherFamily: false },
      { kind: "none", otherFamily: true },
      { kind: "none", otherFamily: true },
    ]);
  });

  test("silence and errors are no answer, and no verdict on the name", async () => {
    const said = await ask("silent.test.,0", "failing.test.,0");
    expect(said).toMatchObject([{ kind: "unknown" }, { kind: "unknown" }]);
    expect(said[0]!.ms).toBeGreaterThan(900); // the resolver's own timeout
  });

  test("a machine without a name server", async () => {
    await using alone = await Host.make();
    const own = `mount --bind ${scratch}/resolv.conf /etc/resolv.conf; exec "$@"`;
    const command = [process.execPath, script("./names.ts"), "old.test,0"];
    const said = JSON.parse(await alone.run("unshare", "--mount", "sh", "-ec", own, "sh", ...command));
    expect(said).toMatchObject([{ kind: "unknown" }]);
  });

  test("`check` says which of the two it was, once a protocol, and exits 1", async () => {
    const all = `"$@"; echo "exit $?"`;
    const check = (...words: string[]): Promise<string> =>
      inside("sh", "-c", all, "sh", process.execPath, MAIN, "check", ...words);
    const none = await check("nobody.test", "udp://old.test", "-6");
    expect(none).toContain("tcp nobody.test:1234: no_such_name");
    expect(none).toContain("the resolver says that there is no IPv6 address of that name: nobody.test");
    expect(none).toContain("udp old.test:5678: no_such_name");
    expect(none).toContain("the resolver says that old.test has no IPv6 address, only others");
    expect(none).toContain("3 of 3 checks not well: no_such_name");
    expect(none).toEndWith("exit 1\n");
    const silent = await check("tcp://silent.test.");
    expect(silent).toContain("the resolver does not answer: nothing about silent.test.");
    expect(silent).toEndWith("exit 1\n");
    const json = JSON.parse((await check("nobody.test", "--json")).replace(/exit 1\n$/, ""));
    expect(json.results).toMatchObject([
      {
        protocol: "tcp",
        name: "nobody.test",
        address: null,
        port: 1234,
        flows: 0,
        problems: [{ code: "no_such_name" }],
      },
      {
        protocol: "udp",
        name: "nobody.test",
        address: null,
        port: 5678,
        flows: 0,
        problems: [{ code: "no_such_name" }],
      },
    ]);
  });
});
