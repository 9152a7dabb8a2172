import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { refusals, untilActive } from "./clients/metrics.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { MAIN, startServer } from "./harness.ts";

/** A user's epoll watches are used up (fs.epoll.max_user_watches): by a neighbour on the same node, say. */

const MAX_USER_WATCHES = "/proc/sys/fs/epoll/max_user_watches";

/** Far more than all tests of this machine use, and few enough to be taken in a moment. */
const WATCHES = 300_000;

/** Another user than that of other tests, who keep their watches; it may read the program all the same. */
const AS_NOBODY = [
  "setpriv",
  "--reuid=65534",
  "--clear-groups",
  "--inh-caps=+dac_override,+dac_read_search",
  "--ambient-caps=+dac_override,+dac_read_search",
  process.execPath,
];

const HOG = fileURLToPath(new URL("clients/watch-hog.ts", import.meta.url));

/** Lowers the limit, which is one for the whole machine, for as long as the test runs. */
function lowerLimit(): Disposable {
  const before = readFileSync(MAX_USER_WATCHES, "latin1");
  if (Number(before) > WATCHES) writeFileSync(MAX_USER_WATCHES, String(WATCHES));
  return { [Symbol.dispose]: () => writeFileSync(MAX_USER_WATCHES, before) };
}

/** Takes all watches that are left to nobody. */
async function takeWatches(): Promise<AsyncDisposable> {
  const hog = Bun.spawn([...AS_NOBODY, HOG], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const { value } = await hog.stdout.getReader().read();
  expect(Buffer.from(value!).toString().trim()).toBe("full");
  return {
    async [Symbol.asyncDispose]() {
      hog.kill("SIGKILL");
      await hog.exited;
    },
  };
}

test("a newcomer that cannot be watched is refused and counted, and nobody else notices", async () => {
  using _lowered = lowerLimit();
  await using server = await startServer(["--udp-port", "off"], { command: [...AS_NOBODY, MAIN] });
  // One of Bun's sockets that cannot be watched is closed before the engine is told of it.
  const engineSees = server.engine === "linux";
  const known = await connectMany(server.tcpPort, 50);
  for (const client of known) expect(await client.echoes("before")).toBe(true);
  {
    await using _taken = await takeWatches();
    for (let count = 0; count < 3; count++) {
      using newcomer = await TcpClient.connect(server.tcpPort);
      expect(await newcomer.ended).toBe(engineSees ? "reset" : "fin");
      expect(newcomer.bytesReceived).toBe(0);
    }
    for (const client of known) expect(await client.echoes("meanwhile")).toBe(true);
  }
  using late = await TcpClient.connect(server.tcpPort);
  expect(await late.echoes("after")).toBe(true);
  await untilActive(server, "tcp", 51);
  const seen = engineSees ? 3 : 0;
  expect(await refusals(server, "tcp", "no_epoll_watch")).toBe(seen);
  const metrics = await server.metrics();
  expect(metrics.get("echo_sessions_opened_total", { protocol: "tcp" })).toBe(51 + seen);
  expect(metrics.get("echo_closed_total", { protocol: "tcp", reason: "refused" })).toBe(seen);
  disposeAll(known);
});
