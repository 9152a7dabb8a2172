import type { Protocol, ServeCommand } from "../peers.ts";
import { tcpSpeaksFirst, udpGreets } from "./banner-probe.ts";
import { pinned } from "./cores.ts";
import type { StartedServer } from "./server.ts";

const PATIENCE_MS = 15_000;

/** A peer on a free port, pinned like ours; ready when it answers. Throws with what it said if it never does. */
export async function startPeer(
  name: string,
  command: ServeCommand,
  protocol: Protocol,
): Promise<StartedServer> {
  const port = await freePort(protocol);
  const child = Bun.spawn(pinned(command(protocol, port)), {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    detached: true, // a process group of its own
  });
  // All of the group: socat and ncat have a process for each session, which would outlive theirs.
  const kill = (): void => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // none of it is left
    }
  };
  process.once("exit", kill);
  const started: StartedServer = {
    target: {
      name,
      tcp: protocol === "tcp" ? { host: "127.0.0.1", port } : null,
      udp: protocol === "udp" ? { host: "127.0.0.1", port } : null,
      pid: child.pid,
      source: null,
    },
    async [Symbol.asyncDispose]() {
      process.off("exit", kill);
      kill();
      await child.exited;
    },
  };
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await answers(protocol, port))) {
    if (child.exitCode === null && Date.now() < deadline) continue;
    await started[Symbol.asyncDispose]();
    const said = (await new Response(child.stderr).text()).trim().split("\n", 1)[0];
    throw new Error(`${name} did not start: ${said || "it said nothing"}`);
  }
  return started;
}

async function answers(protocol: Protocol, port: number): Promise<boolean> {
  try {
    await (protocol === "tcp" ? tcpSpeaksFirst : udpGreets)("127.0.0.1", port, null);
    return true;
  } catch {
    await Bun.sleep(50);
    return false;
  }
}

/** A port that was free a moment ago. */
async function freePort(protocol: Protocol): Promise<number> {
  if (protocol === "udp") {
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
    const { port } = socket;
    socket.close();
    return port;
  }
  using listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  return listener.port;
}
