import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import type { PagePath } from "../src/admin/page-paths.ts";
import { pageRoutes } from "../src/admin/page-routes.ts";
import type { PageFacts, SelfFacts } from "../src/page/facts.ts";
import { RawHttp, statuses } from "./clients/http.ts";
import { freePort } from "./clients/neighbours.ts";
import { TcpClient } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { type EchoServer, ServerProcess, startServer, until } from "./harness.ts";
import { someFacts } from "./page/facts.ts";
import { meshOf } from "./page/mesh.ts";
import { FakeAdmin, hostile, selfOf } from "./page/pod.ts";

/** The page of a running server, over HTTP: what it says, to whom, and whom it asks for that. */

const PATHS = ["/", "/page.json", "/self.json", "/clients.json", "/page.js", "/page.css"];

let server: EchoServer;
beforeAll(async () => {
  server = await startServer([], { env: { ECHO_POD_NAME: "server2", ECHO_NODE_NAME: "node-b" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function factsOf(of: EchoServer): Promise<PageFacts> {
  return (await (await of.fetch("/page.json")).json()) as PageFacts;
}

describe("what is answered", () => {
  test("the page and all that belongs to it, each under a policy that lets nothing else in", async () => {
    const json = "application/json";
    const types = ["text/html", json, json, json, "text/javascript", "text/css"];
    for (const [at, path] of PATHS.entries()) {
      const { status, headers } = await server.fetch(path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers.get("content-type")).toStartWith(types[at]!);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
      const policy = headers.get("content-security-policy")!.split("; ");
      for (const kind of ["default-src", "base-uri", "form-action", "frame-ancestors"])
        expect(policy).toContain(`${kind} 'none'`);
      for (const kind of ["script-src", "style-src", "connect-src"])
        expect(policy).toContain(`${kind} 'self'`);
      expect(policy.join()).not.toMatch(/unsafe|\*|https?:/);
    }
  });

  test("HEAD is the same without the body; other methods and paths are refused", async () => {
    for (const path of PATHS) {
      const head = await server.fetch(path, { method: "HEAD" });
      expect(Number(head.headers.get("content-length"))).toBeGreaterThan(20);
      expect(head.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(await head.text()).toBe("");
      const post = await server.fetch(path, { method: "POST", body: "x" });
      expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    }
    for (const path of ["/page", "/page.json/", "/page.js.map", "/self.json%20"])
      expect([path, (await server.fetch(path)).status]).toEqual([path, 404]);
    const none = await server.fetch("/mesh.json?scope=all");
    expect(none.status).toBe(404);
    expect(await none.text()).toBe("no mesh here: --pod-admin-ports names no container mesh\n");
  });

  test("the numbers on the page are those of the server, and of the JSON", async () => {
    using client = await TcpClient.connect(server.tcpPort);
    await client.greeted();
    expect(await client.echoes("x".repeat(2048))).toBe(true);
    await until(
      "the session is seen",
      async () => (await factsOf(server)).sessions[0]!.receivedBytes >= 2048,
    );
    const facts = await factsOf(server);
    expect(facts).toMatchObject({
      version: 1,
      name: "server2",
      node: "node-b",
      state: "serving",
      mesh: false,
    });
    expect(facts.sessions.map(({ protocol, active }) => [protocol, active])).toEqual([
      ["TCP", 1],
      ["UDP", 0],
    ]);
    expect(facts.addresses).toEqual({ tcp: server.tcp, udp: server.udp });
    expect(facts.loops.reduce((sum, { sessions }) => sum + sessions, 0)).toBe(1);
    expect(facts.refusals.every(({ meaning }) => /^[A-Z].*\.$/.test(meaning))).toBe(true);
    const html = await (await server.fetch("/")).text();
    for (const part of ["server2", "node-b", "serving", ...server.tcp, ...server.udp])
      expect(html).toContain(part);
    expect(html).toContain('<th scope="row">TCP</th><td class="n">1</td><td class="n">1</td>');
    expect(html).toContain('<td class="n">2.0 KiB</td>');
    const self = (await (await server.fetch("/self.json")).json()) as SelfFacts;
    expect(self).toMatchObject({ version: 1, name: "server2", node: "node-b", state: "serving" });
    expect(Object.keys(self).sort()).toEqual(["name", "node", "sessions", "state", "uptimeMs", "version"]);
  });

  test("what goes without a session at the cap of UDP sessions is told of too", async () => {
    await using full = await startServer(["--tcp-port", "off", "--max-udp-sessions", "1"]);
    using first = await UdpClient.open(full.udpPort);
    first.send("a session");
    await first.receives(2);
    using newcomer = await UdpClient.open(full.udpPort);
    expect((await newcomer.asks("none")).toString()).toBe("none");
    const told = async () => (await factsOf(full)).refusals.find(({ reason }) => reason === "sessionless")!;
    await until("it is counted", async () => (await told()).count === 1);
    expect(await told()).toMatchObject({ protocol: "UDP", what: "banner left out" });
  });

  test("a server that drains says so", async () => {
    await using draining = await startServer(["--drain-timeout", "1h"]);
    using client = await TcpClient.connect(draining.tcpPort);
    expect(await client.echoes("stay")).toBe(true);
    draining.kill("SIGTERM");
    await draining.waitForLog("draining");
    expect(await factsOf(draining)).toMatchObject({
      state: "draining",
      stateText: "draining, newcomers are refused; sessions that may finish: 1",
    });
  });
});

describe("Host", () => {
  test("any is answered, and nothing of it stands in the page unless it is a name or an address", async () => {
    await using pod = await startServer(["--pod-admin-ports", "udp:8081"]);
    const page = async (host: string | null): Promise<string> => {
      using client = await RawHttp.connect(pod.adminPort);
      const field = host === null ? "" : `Host: ${host}\r\n`;
      const received = await client.send(`GET / HTTP/1.0\r\n${field}\r\n`).toEnd();
      expect(statuses(received)).toEqual([200]);
      return received;
    };
    expect(await page("localhost:8080")).toContain('href="http://localhost:8081/"');
    expect(await page("[fd00::1]:8080")).toContain('href="http://[fd00::1]:8081/"');
    const games = [
      '"><script>alert(1)</script>',
      "a'b",
      "x/../y",
      "user@evil",
      "two words, none",
      "[::1%25eth0]",
      "javascript:alert(1)",
    ];
    for (const host of [null, "", ...games]) {
      const html = await page(host);
      expect([host, html.includes('href="http:')]).toEqual([host, false]);
      if (host !== null && host !== "") expect(html).not.toContain(host);
      expect(html).toContain("port 8081");
    }
    using absolute = await RawHttp.connect(pod.adminPort);
    const asked = "GET http://seen.example/ HTTP/1.0\r\nHost: other.example\r\n\r\n";
    expect(await absolute.send(asked).toEnd()).toContain('href="http://seen.example:8081/"');
  });
});

describe("the containers of this Pod", () => {
  test("each is asked how it is, this one is not, and neither goes by a proxy of the environment", async () => {
    let proxied = 0;
    using proxy = hostile((socket) => {
      proxied++;
      socket.terminate();
    });
    const proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"];
    const env = Object.fromEntries(proxies.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
    await using udp = await startServer(["--tcp-port", "off"]);
    const own = freePort("127.0.0.1");
    const ports = `tcp:${own},udp:${udp.adminPort}`;
    const args = ["--udp-port", "off", "--admin-port", String(own), "--pod-admin-ports", ports];
    await using tcp = await startServer(args, { env });
    const { containers } = await factsOf(tcp);
    expect(containers.map(({ name, port, self, state }) => [name, port, self, state])).toEqual([
      ["tcp", own, true, "serving"],
      ["udp", udp.adminPort, false, "serving"],
    ]);
    expect(containers.map(({ sessions }) => sessions.map(({ protocol }) => protocol))).toEqual([
      ["TCP"],
      ["UDP"],
    ]);
    expect(proxied).toBe(0);
    // Who came over UDP is looked for on this page, too.
    using client = await UdpClient.open(udp.udpPort);
    client.send("hi");
    await until("the client of the other container", async () => {
      const { clients } = await factsOf(tcp);
      return clients?.some(({ protocol, bytes }) => protocol === "UDP" && bytes === 2) === true;
    });
    const html = await (await tcp.fetch("/")).text();
    expect(html).toContain(`<th scope="row"><code>127.0.0.1:${client.port}</code></th>`);
    expect(html).toMatch(/<th scope="row">UDP<\/th><td class="n">1<\/td><td class="n">1<\/td>/);
  });

  test("the dead, the silent, the endless and those who say something else did not say; the page comes all the same", async () => {
    let sent = 0;
    const flood = Buffer.alloc(65_536, "x");
    using endless = hostile((socket) => {
      sent += Math.max(0, socket.write(sent === 0 ? "HTTP/1.1 200 OK\r\n\r\n" : flood));
      sent += Math.max(0, socket.write(flood));
    });
    using silent = hostile(() => {});
    using rude = hostile((socket) => socket.terminate());
    using babbling = hostile((socket) => void socket.end("SSH-2.0-x\r\n"));
    const says = (body: string, init?: ResponseInit) =>
      new FakeAdmin({ "/self.json": () => new Response(body, init) });
    using wrong = says(JSON.stringify({ ...selfOf("x"), state: "<b>" }));
    using broken = says("{");
    using moved = says("", { status: 302, headers: { location: `${server.adminUrl}/self.json` } });
    const dead = freePort("127.0.0.1");
    const all = [endless, silent, rude, babbling, wrong, broken, moved].map(({ port }) => port);
    const named = [...all, dead].map((port, at) => `c${at}:${port}`).join(",");
    await using pod = await startServer(["--pod-admin-ports", named]);
    const { containers } = await factsOf(pod);
    expect(containers.map(({ state }) => state)).toEqual(Array.from({ length: 8 }, () => null));
    const html = await (await pod.fetch("/")).text();
    expect(html.match(/did not say/g)).toHaveLength(8);
    expect(sent).toBeLessThan(16 << 20); // what the kernel took before the reset
    for (let times = 0; times < 20; times++) await factsOf(pod);
    expect((await pod.metrics()).get("process_open_fds")).toBeLessThan(60);
  });

  test("many who look cause one question, and while nobody does there is none", async () => {
    using sibling = new FakeAdmin({ "/self.json": () => Response.json(selfOf("x")) });
    await using pod = await startServer(["--pod-admin-ports", `udp:${sibling.port}`]);
    for (const path of [
      "/livez",
      "/readyz",
      "/metrics",
      "/self.json",
      "/clients.json",
      "/page.js",
      "/page.css",
    ])
      expect((await pod.fetch(path)).status).toBe(200);
    expect(sibling.asked).toEqual([]);
    const started = performance.now();
    const answers = await Promise.all(Array.from({ length: 50 }, () => pod.fetch("/page.json")));
    for (const answer of answers) expect(answer.status).toBe(200);
    // One question of each kind a second at most, from the first on.
    expect(sibling.asked.length).toBeWithin(1, 2 * (3 + (performance.now() - started) / 1000));
    expect(new Set(sibling.asked)).toEqual(new Set(["/self.json", "/clients.json"])); // who is asked asks nobody in turn
  });
});

describe("the mesh of this Pod's prober", () => {
  const row = {
    version: 1,
    at: "2026-11-26T08:00:00.000Z",
    self: "server1-abc",
    intervalMs: 1000,
    unresolved: "the resolver does not say what mesh is in time",
    members: [
      { name: "server1-abc", node: "node1", address: "10.244.1.2", row: true },
      { name: "server2-<def>", node: null, address: "10.244.2.2", row: null },
    ],
    pairs: [
      {
        ...{
          from: "server1-abc",
          to: "server2-<def>",
          fromNode: "node1",
          toNode: null,
          protocol: "udp",
          up: false,
        },
        ...{
          rttMs: null,
          connectMs: null,
          hops: null,
          sent: 60,
          lost: 59,
          duplicated: 0,
          reordered: 0,
          corrupted: 0,
        },
        ...{ since: "2026-11-26T07:59:00.000Z", why: "udp 10.244.1.2:4000 > 10.244.2.2:5678: timeout" },
      },
    ],
  };

  test("is handed on, its own row or the whole, and stands in the page", async () => {
    const whole = { ...row, members: row.members.toReversed() };
    using prober = new FakeAdmin({
      "/mesh.json": () => Response.json(row),
      "/mesh.json?scope=all": () => Response.json({ ...whole, later: "a field of another version" }),
      "/self.json": () => Response.json(selfOf("mesh")),
    });
    await using pod = await startServer(["--pod-admin-ports", `mesh:${prober.port}`]);
    expect(await (await pod.fetch("/mesh.json")).json()).toEqual(row);
    expect(await (await pod.fetch("/mesh.json?scope=all")).json()).toEqual(whole);
    const other = await pod.fetch("/mesh.json?scope=some");
    expect([other.status, await other.text()]).toEqual([
      400,
      "?scope=some is not allowed; allowed: ?scope=all, or nothing\n",
    ]);
    expect((await factsOf(pod)).mesh).toBe(true);
    const html = await (await pod.fetch("/")).text();
    expect(html).toContain('<section id="matrix-section" aria-labelledby="matrix-title">');
    expect(html).toContain("server2-&#60;def&#62;");
    expect(html).toContain("(the resolver does not say what mesh is in time)");
    expect(html).not.toContain("<def>");
    await Promise.all(Array.from({ length: 20 }, () => pod.fetch("/mesh.json?scope=all")));
    expect(prober.asked.filter((path) => path.endsWith("all")).length).toBeLessThan(10);
  });

  test("one that does not answer, or says something else, is told in a line", async () => {
    using wrong = new FakeAdmin({ "/mesh.json?scope=all": () => Response.json({ ...row, pairs: [{}] }) });
    await using pod = await startServer(["--pod-admin-ports", `mesh:${wrong.port}`]);
    const said = await pod.fetch("/mesh.json?scope=all");
    expect([said.status, await said.text()]).toEqual([
      503,
      "the prober of this Pod said something that is no mesh\n",
    ]);
    expect(await (await pod.fetch("/mesh.json")).text()).toBe(
      "the prober of this Pod answered with status 404\n",
    );
    await using alone = await startServer(["--pod-admin-ports", `mesh:${freePort("127.0.0.1")}`]);
    expect((await alone.fetch("/mesh.json?scope=all")).status).toBe(503);
    expect(await (await alone.fetch("/")).text()).toContain(
      "No matrix now: the prober of this Pod: no connection",
    );
  });
});

test("what is large is one copy, by whatever host and by however many it is asked for", async () => {
  const result = meshOf(30);
  const routes = pageRoutes({
    facts: async () => someFacts({ mesh: true }),
    self: async () => selfOf("x"),
    clients: async () => ({ version: 1, clients: null }),
    mesh: async () => result,
  });
  const asked = { method: "GET", path: "/", query: "", close: false };
  const pieces = async (path: PagePath, host: string | null): Promise<readonly Uint8Array[]> => {
    const { body } = await routes[path]({ ...asked, path, host });
    if (typeof body === "string") throw new Error("a body of text is copied for each connection");
    return body;
  };
  const [one, two] = await Promise.all([pieces("/", "a:1"), pieces("/", "b:1")]);
  expect(one[1]).toBe(two[1]!);
  expect(one[1]!.length).toBeGreaterThan(100_000);
  for (const pages of [one, two]) expect(pages[0]!.length + pages[2]!.length).toBeLessThan(20_000);
  for (const path of ["/mesh.json", "/page.json", "/page.js", "/page.css"] as const) {
    const [first, second] = await Promise.all([pieces(path, null), pieces(path, "x")]);
    expect(first[0]).toBe(second[0]!);
  }
});

test("a prober has the same page, with its matrix first; its Pod's server shows the matrix too", async () => {
  const args = ["mesh", "--name", "localhost", "-4", "--admin-host", "127.0.0.1", "--admin-port", "0"];
  await using prober = new ServerProcess([...args, "--pod-name", "server9-abc", "--log-format", "json"]);
  const { admin } = await prober.waitForLog("ready");
  const [at] = admin as [string];
  const page = await fetch(`http://${at}/`);
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  const html = await page.text();
  expect(html).toContain("<h1>server9-abc ");
  expect(html.indexOf('id="matrix-section"')).toBeLessThan(html.indexOf('id="sessions-section"'));
  expect(html).toContain('<section id="sessions-section" aria-labelledby="sessions-title" hidden>');
  expect(html).toContain("1 member");
  const facts = (await (await fetch(`http://${at}/page.json`)).json()) as PageFacts;
  expect(facts).toMatchObject({
    name: "server9-abc",
    state: "serving",
    mesh: true,
    sessions: [],
    clients: null,
  });
  expect((await fetch(`http://${at}/page.js`)).status).toBe(200);

  await using pod = await startServer(["--pod-admin-ports", `mesh:${at.split(":")[1]}`]);
  const { containers } = await factsOf(pod);
  expect(containers).toMatchObject([{ name: "mesh", self: false, state: "serving", sessions: [] }]);
  const matrix = (await (await pod.fetch("/mesh.json?scope=all")).json()) as { self: string };
  expect(matrix.self).toBe("server9-abc");
});

test("in a cluster the fleet is who the names have, and who the prober knows; each is asked at this one's admin port", async () => {
  const port = freePort("0.0.0.0");
  const known = ["127.0.0.4", "127.0.0.5", "127.0.0.1"].map((address) => ({
    ...{ name: address, node: null, address, row: null },
  }));
  const row = {
    ...{ version: 1, at: "2026-11-26T08:00:00.000Z", self: "x", intervalMs: 1000 },
    ...{ members: [...known, { name: "gone", node: null, address: null, row: null }], pairs: [] },
  };
  using prober = new FakeAdmin({ "/mesh.json": () => Response.json(row) });
  using member = new FakeAdmin(
    { "/self.json": () => Response.json(selfOf("pool-<x>", { state: "draining" })) },
    { hostname: "127.0.0.4", port },
  );
  const args = ["--admin-host", "127.0.0.1", "--admin-port", String(port)];
  const env = { KUBERNETES_SERVICE_HOST: "10.96.0.1", ECHO_POD_NAME: "me" };
  await using pod = await startServer([...args, "--pod-admin-ports", `mesh:${prober.port}`], { env });
  const { fleet, commands } = await factsOf(pod);
  expect(fleet).toEqual([
    { name: "pool-<x>", node: "node-of-pool-<x>", addresses: ["127.0.0.4"], state: "draining", self: false },
    { name: "127.0.0.5", node: null, addresses: ["127.0.0.5"], state: null, self: false },
    { name: "me", node: null, addresses: ["127.0.0.1"], state: "serving", self: true },
  ]);
  expect(commands.map(({ text }) => text)).toContain(`kubectl port-forward pod/me ${prober.port}`);
  const html = await (await pod.fetch("/")).text();
  expect(html).toContain("pool-&#60;x&#62;");
  expect(html).toContain("3 members: 1 serving, 1 draining, 1 did not say.");
  for (let times = 0; times < 5; times++) await factsOf(pod);
  expect(member.asked).toEqual(["/self.json"]); // once in five seconds, however many look
});

test("nothing of the page is loaded before somebody asks for it", async () => {
  const admin = fileURLToPath(new URL("../src/admin/admin.ts", import.meta.url));
  const script = `await import(${JSON.stringify(admin)}); console.log(Object.keys(require.cache).join("\\n"))`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const loaded = (await child.stdout.text()).split("\n");
  expect(loaded.filter((file) => file.includes("/src/admin/")).length).toBeGreaterThan(10); // they are found at all
  const unasked =
    /\/src\/page\/|\/zod\/|\/admin\/(facts|neighbours|page-routes|pod-mesh|said|assets|commands)\.ts$/;
  expect(loaded.filter((file) => unasked.test(file))).toEqual([]);
});
