import { beforeAll, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { parseEndpoint } from "../src/net/endpoint.ts";
import { parseBanner } from "./clients/tcp.ts";
import { requireTools } from "./clients/tools.ts";
import { greet, UdpClient } from "./clients/udp.ts";
import { EchoServer, MAIN, startServer } from "./harness.ts";

/** Answers leave from the address that was asked. The clients are connected: what comes from another is not theirs. */

const LINUX = process.platform === "linux";
const CLIENT = fileURLToPath(new URL("./clients/udp-ask.ts", import.meta.url));

beforeAll(requireTools, 300_000);

test.if(LINUX)("a client of an address that no interface lists is answered from there", async () => {
  // On Linux all of 127.0.0.0/8 is this host.
  await using server = await startServer();
  for (const host of ["127.0.0.1", "127.0.0.2", "127.5.6.7"]) {
    using client = await UdpClient.open(server.udpPort, { host });
    expect(parseBanner(await greet(client))["Server"]).toBe(`${host}:${server.udpPort}`);
    expect((await client.asks("again")).toString()).toBe("again");
  }
});

test("two addresses are two sessions of one client", async () => {
  await using server = await startServer(["--host", "127.0.0.1", "--host", "127.0.0.2"]);
  const { port } = parseEndpoint(server.udp[1]!)!;
  using one = await UdpClient.open(server.udpPort, { from: "127.0.0.9" });
  expect(parseBanner(await greet(one))["Server"]).toBe(`127.0.0.1:${server.udpPort}`);
  const own = one.port;
  one[Symbol.dispose]();
  using two = await UdpClient.open(port, { host: "127.0.0.2", from: "127.0.0.9", fromPort: own });
  expect(parseBanner(await greet(two))["Server"]).toBe(`127.0.0.2:${port}`);
});

describe.if(LINUX)("on a host with several addresses", () => {
  const addresses = ["10.99.0.1", "10.99.0.2", "10.99.7.1", "fd99::1", "fd99::2", "127.0.0.1", "::1"];

  for (const host of ["::", "0.0.0.0"]) {
    test(`one server on ${host} answers each from itself, to a client on another`, async () => {
      await using server = await inOwnNetwork(addresses, ["--host", host]);
      const asked = addresses.filter((address) => host === "::" || !address.includes(":"));
      for (const address of asked) {
        const from = asked.findLast((other) => other.includes(":") === address.includes(":"))!;
        const answers = await askFromInside(server, address, from);
        const [banner, ...echoes] = answers;
        const { Server, Client } = parseBanner(banner!);
        const shown = address.includes(":") ? `[${address}]` : address;
        expect(Server).toBe(`${shown}:${server.udpPort}`);
        expect(Client).toStartWith(from.includes(":") ? `[${from}]:` : `${from}:`);
        expect(echoes).toEqual(["one", "two"]);
      }
    });
  }
});

/** A server in a network namespace of its own, whose loopback has these addresses. */
async function inOwnNetwork(addresses: readonly string[], args: readonly string[]): Promise<EchoServer> {
  const network = process.getuid!() === 0 ? ["--net"] : ["--net", "--map-root-user"];
  const add = addresses
    .filter((address) => address !== "127.0.0.1" && address !== "::1")
    .map((address) => `ip address add ${address}/${address.includes(":") ? "128 nodad" : "32"} dev lo`);
  const script = ["set -e", "ip link set lo up", ...add, 'exec "$@"'].join("\n");
  const engine = process.env["ECHO_TEST_ENGINE"];
  const ports = ["--tcp-port", "off", "--udp-port", "0", "--admin-port", "0", "--log-format", "json"];
  const server = new EchoServer([...ports, ...(engine === undefined ? [] : ["--engine", engine]), ...args], {
    command: ["unshare", ...network, "sh", "-c", script, "sh", process.execPath, MAIN],
  });
  try {
    await server.ready();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

/** A client in the server's network: what `one`, then `two`, are answered with. */
async function askFromInside(server: EchoServer, host: string, from: string): Promise<string[]> {
  const user = process.getuid!() === 0 ? [] : ["--user", "--preserve-credentials"];
  const command = ["nsenter", "--target", String(server.pid), "--net", ...user, process.execPath, CLIENT];
  const client = Bun.spawn([...command, host, String(server.udpPort), from, "one", "two"], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [answers, errors, exitCode] = await Promise.all([
    client.stdout.text(),
    client.stderr.text(),
    client.exited,
  ]);
  if (exitCode !== 0) throw new Error(`client of ${host}: ${errors}`);
  return JSON.parse(answers);
}
