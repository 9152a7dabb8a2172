import { bunSockets } from "../../src/client/bun/sockets.ts";
import { linuxSockets } from "../../src/client/linux/sockets.ts";
import type { Sockets } from "../../src/client/sockets.ts";
import { Prober } from "../../src/diagnose/mesh/prober.ts";
import type { MeshQuestion, ProbeName, ProbeSeen, Roster } from "../../src/diagnose/mesh/seen.ts";
import { freePort } from "../client/servers.ts";
import { type EchoServer, startServer } from "../harness.ts";

/** What the tests of the prober share. */

/** A question of which a test says what it wants otherwise. */
export const QUESTION: MeshQuestion = {
  name: "mesh",
  members: [],
  address: null,
  family: null,
  tcpPort: 1234,
  udpPort: 5678,
  intervalMs: 100,
  timeoutMs: 500,
  degree: 10,
  membersMax: 100,
  banner: true,
};

/** Every way of making sockets that there is on this machine. */
export const ENGINES: [string, Sockets][] = [["Bun's sockets", bunSockets()]];
const byCalls = linuxSockets();
if (byCalls !== null) ENGINES.unshift(["system calls", byCalls]);

/** Ports that all members of a test's fleet have, on addresses of 127.0.0.0/8 that are no other test's. */
export interface Ports {
  readonly tcpPort: number;
  readonly udpPort: number;
}

export function freePorts(): Ports {
  return { tcpPort: freePort(), udpPort: freePort() };
}

/** One server that is many members: it listens at all these addresses. */
export function membersAt(
  addresses: readonly string[],
  { tcpPort, udpPort }: Ports,
  args: readonly string[] = [],
): Promise<EchoServer> {
  const hosts = addresses.flatMap((address) => ["--host", address]);
  const admin = ["--admin-host", addresses[0]!];
  return startServer([...hosts, ...admin, "--tcp-port", `${tcpPort}`, "--udp-port", `${udpPort}`, ...args]);
}

/** A prober at work in this process. */
export interface RunningProber extends AsyncDisposable {
  readonly rosters: readonly Roster[];
  readonly probes: readonly ProbeSeen[];
  /** Those of one peer, or of one of its probes, from a time on. */
  of(peer: string, probe?: ProbeName, sinceMs?: number): ProbeSeen[];
  /** The name has these addresses from now on. */
  meet(addresses: readonly string[]): void;
  end(): Promise<void>;
}

/** @param addresses what the name has at first */
export function startProber(
  sockets: Sockets,
  addresses: readonly string[],
  question: Partial<MeshQuestion>,
): RunningProber {
  const [rosters, probes]: [Roster[], ProbeSeen[]] = [[], []];
  let members = addresses;
  const prober = new Prober(
    { ...QUESTION, ...question },
    {
      sockets,
      lookup: async () => members,
      emit: (event) => void ("roster" in event ? rosters.push(event.roster) : probes.push(event.probe)),
    },
  );
  const abort = new AbortController();
  const running = prober.run(abort.signal);
  const end = async (): Promise<void> => {
    abort.abort();
    await running;
  };
  return {
    ...{ rosters, probes, end },
    of: (peer, probe, sinceMs = 0) =>
      probes.filter(
        (seen) => seen.peer === peer && (probe === undefined || seen.probe === probe) && seen.atMs >= sinceMs,
      ),
    meet(now) {
      members = now;
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Faults of probes, each once; `null` is none. */
export function faultsOf(probes: readonly ProbeSeen[]): (string | null)[] {
  return [...new Set(probes.map(({ fault }) => fault))];
}

/** The source ports that probes came from. */
export function portsOf(probes: readonly ProbeSeen[]): string[] {
  return [...new Set(probes.map(({ flow }) => /:(\d+) > /.exec(flow ?? "")?.[1] ?? "none"))];
}

/** TCP connections of this machine with that port at either end, by their state: TIME_WAIT is 6 (proc(5), `net/tcp`). */
export async function connectionsAt(port: number): Promise<number[]> {
  const lines = (await Bun.file("/proc/net/tcp").text()).split("\n").slice(1);
  const ends = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")}$`);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, own = "", other = ""]) => ends.test(own) || ends.test(other))
    .map(([, , , state = ""]) => Number.parseInt(state, 16));
}
