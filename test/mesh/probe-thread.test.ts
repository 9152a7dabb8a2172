import { describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { type MeshEvent, type MeshQuestion, PROBES, type ProbeSeen } from "../../src/diagnose/mesh/seen.ts";
import { startServer, until } from "../harness.ts";
import { faultsOf, QUESTION } from "./probe-fixtures.ts";

/** The task as a program runs it, in a process that can be stopped. */

const PROGRAM = fileURLToPath(new URL("probe-run.ts", import.meta.url));
/** How long a process stands still, and how long its probes have: it sleeps through all of their time. */
const STOPPED_MS = 2500;
const TIMEOUT_MS = 1500;
/** Two intervals: so a probe of each kind is under way. */
const UNDER_WAY_MS = 200;

interface Running extends AsyncDisposable {
  readonly probes: ProbeSeen[];
  readonly lines: (MeshEvent | "ended")[];
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
}

function start(engine: string, question: MeshQuestion): Running {
  const child = Bun.spawn([process.execPath, PROGRAM, JSON.stringify(question), engine], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines: (MeshEvent | "ended")[] = [];
  const probes: ProbeSeen[] = [];
  const read = async (): Promise<void> => {
    let partial = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const whole = (partial + chunk).split("\n");
      partial = whole.pop()!;
      for (const line of whole) take(JSON.parse(line));
    }
  };
  const take = (line: MeshEvent | "ended"): void => {
    lines.push(line);
    if (line !== "ended" && "probe" in line) probes.push(line.probe);
  };
  const drained = read();
  const exited = child.exited.then(async (code) => {
    await drained;
    return code;
  });
  return {
    ...{ probes, lines, exited },
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

for (const engine of ["linux", "bun"]) {
  describe(`the task by ${engine}`, () => {
    test("resolves by the machine's resolver, does not count as lost what it slept through, and ends when told to", async () => {
      await using server = await startServer(["--host", "127.0.0.1"]);
      await using prober = start(engine, {
        ...QUESTION,
        ...{ name: "localhost", address: "127.0.44.1", timeoutMs: TIMEOUT_MS },
        ...{ tcpPort: server.tcpPort, udpPort: server.udpPort },
      });
      const areTold = (count: number): boolean =>
        PROBES.every((probe) => prober.probes.filter((seen) => seen.probe === probe).length >= count);
      await until("it asks", () => areTold(5));
      expect(prober.lines[0]).toMatchObject({
        roster: { addresses: ["127.0.0.1", "127.0.44.1"], own: "127.0.44.1", unresolved: null },
      });
      // A machine that stands still, server and all. The answers come when both go on, the server last.
      server.kill("SIGSTOP");
      await Bun.sleep(UNDER_WAY_MS);
      prober.kill("SIGSTOP");
      await Bun.sleep(STOPPED_MS);
      const told = prober.probes.length;
      prober.kill("SIGCONT");
      await Bun.sleep(UNDER_WAY_MS); // now it judges
      server.kill("SIGCONT");
      await until("it goes on", () => prober.probes.length >= told + 30);
      expect(faultsOf(prober.probes)).toEqual([null]);
      // By the kernel's stamps a round trip is what it was; by the clock of one who slept, it is without that.
      const longestMs = Math.max(...prober.probes.map(({ rttMs }) => rttMs ?? 0));
      if (engine === "bun") expect(longestMs).toBeLessThan(STOPPED_MS);
      prober.kill("SIGTERM");
      expect(await prober.exited).toBe(0);
      expect(prober.lines.at(-1)).toBe("ended");
    });

    test("a name that does not exist has this member alone", async () => {
      await using prober = start(engine, { ...QUESTION, name: "mesh.invalid", address: "127.0.44.1" });
      await until("it is told", () => prober.lines.length > 0);
      expect(prober.lines[0]).toMatchObject({ roster: { addresses: ["127.0.44.1"], named: [] } });
      expect(prober.probes).toEqual([]);
    });
  });
}
