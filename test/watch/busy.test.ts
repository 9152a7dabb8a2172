import { expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import type { Line } from "../../src/diagnose/watch/line.ts";
import { ServerProcess, startServer, until } from "../harness.ts";

/** A machine that is busy: what leaves late, or is read late, is no outage. */

const HOG = ["sh", "-c", "while :; do :; done"];

test.each(["linux", "bun"])(
  "five flows at 10 ms beside a hog on each core, sockets of %s: no outage, nothing else",
  async (engine) => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    const hogs = Array.from({ length: availableParallelism() }, () => Bun.spawn(HOG));
    try {
      await using watching = new ServerProcess([
        ...["watch", `tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`],
        ...["--interval", "10ms", "--duration", "3s", "--engine", engine, "--json"],
      ]);
      expect(await watching.exited).toBe(0);
      const lines = watching.log as unknown as Line[];
      expect(lines.map(({ event }) => event).filter((event) => event !== "summary")).toEqual(
        Array(5).fill("answered"),
      );
      for (const line of lines) {
        if (line.event !== "summary") continue;
        for (const flow of Object.values(line.flows))
          expect(flow).toMatchObject({ lost: 0, outages: { count: 0 } });
      }
    } finally {
      for (const hog of hogs) hog.kill("SIGKILL");
    }
  },
);

test.each(["linux", "bun"])(
  "stopped for longer than the timeout, sockets of %s: told as a stall, and no outage",
  async (engine) => {
    await using server = await startServer(["--host", "127.0.0.1"]);
    await using watching = new ServerProcess([
      ...["watch", `tcp://127.0.0.1:${server.tcpPort}`, `udp://127.0.0.1:${server.udpPort}`],
      ...["--interval", "10ms", "--timeout", "300ms", "--engine", engine, "--json"],
    ]);
    await until("all are answered", () => watching.log.length === 5);
    for (let time = 0; time < 3; time++) {
      watching.kill("SIGSTOP");
      await Bun.sleep(1500); // what is tested is this time itself
      watching.kill("SIGCONT");
      await Bun.sleep(300);
    }
    const { exitCode } = await watching.stop("SIGINT");
    const lines = watching.log as unknown as Line[];
    expect(lines.map(({ event }) => event).filter((event) => event !== "summary")).toEqual(
      Array(5).fill("answered"),
    );
    const summary = lines.at(-1)!;
    if (summary.event !== "summary") throw new Error("no summary");
    expect(summary.stalls.count).toBeGreaterThanOrEqual(3);
    expect(summary.stalls.longestMs).toBeGreaterThan(1000);
    expect(exitCode).toBe(0);
  },
);
