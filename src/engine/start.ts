import { UsageError } from "../errors.ts";
import type { Serves, SharedTables } from "../state/shared.ts";
import { hasLibc } from "../sys/libc.ts";
import { linuxEngineFault } from "./linux/selftest.ts";
import type { EngineChoice, LoopSettings, Loops, LoopsEvents } from "./loop.ts";
import { Supervisor } from "./supervisor.ts";

/**
 * Chooses what moves bytes.
 * @throws UsageError when `--engine linux` cannot work here
 */
export function chooseEngine(asked: "auto" | "bun" | "linux"): EngineChoice {
  if (asked === "bun") return { engine: "bun", engineReason: "asked for" };
  const fault = linuxEngineFault();
  if (fault === null) {
    return { engine: "linux", engineReason: asked === "auto" ? "self-test passed" : "asked for" };
  }
  if (asked === "linux") {
    throw new UsageError(`--engine linux does not work here (${fault}); allowed here: auto, bun`);
  }
  return { engine: "bun", engineReason: `the Linux engine does not work here: ${fault}` };
}

/**
 * What each loop serves. A Linux loop takes both protocols in turns. A flood of datagrams keeps one of Bun's loops from
 * everything else, so there the protocols have loops of their own, TCP's first.
 * @throws UsageError where sockets of several loops cannot share a port
 */
export function planLoops(
  engine: EngineChoice["engine"],
  { tcpPort, udpPort }: Pick<LoopSettings, "tcpPort" | "udpPort">,
  workers: number,
): readonly Serves[] {
  if (workers > 1 && !hasLibc()) {
    throw new UsageError(`--workers ${workers} does not work without libc; allowed here: 1, auto`);
  }
  const each = (serves: Serves): Serves[] => Array.from({ length: workers }, () => serves);
  const [tcp, udp] = [tcpPort !== null, udpPort !== null];
  if (engine === "linux") return each({ tcp, udp });
  return [...(tcp ? each({ tcp: true, udp: false }) : []), ...(udp ? each({ tcp: false, udp: true }) : [])];
}

/**
 * Starts the data plane: `settings` in the loops that `tables` were made for.
 * @throws StartError when an address cannot be bound or a loop cannot be started; then nothing is left open
 */
export async function startLoops(
  choice: EngineChoice,
  settings: LoopSettings,
  tables: SharedTables,
  events: LoopsEvents,
): Promise<Loops> {
  // Only the engine that serves is loaded: the other would cost memory for nothing.
  const starter =
    choice.engine === "linux"
      ? new (await import("./linux-loops.ts")).LinuxStarter(settings, tables, events.onSession)
      : new (await import("./bun-loops.ts")).BunStarter(settings, tables, events.onSession);
  const supervisor = new Supervisor(starter, tables, events);
  await supervisor.start();
  return {
    ...choice,
    bound: starter.bound,
    drain: () => supervisor.tell("drain"),
    cut: () => supervisor.tell("cut"),
    fail: () => supervisor.fail(),
    stop: () => supervisor.stop(),
  };
}
