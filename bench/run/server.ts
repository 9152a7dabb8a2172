import { fileURLToPath } from "node:url";
import { parseEndpoint } from "../../src/net/endpoint.ts";
import type { HostPort } from "../kinds.ts";
import { pinned } from "./cores.ts";
import type { Target } from "./types.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const PATIENCE_MS = 15_000;

/** A server that this run started. */
export interface StartedServer extends AsyncDisposable {
  readonly target: Target;
}

/**
 * Our server, on free ports of loopback, pinned. Throws with what it said if it does not become ready.
 * @param program what is run: this checkout's own source, unless a binary is named
 * @param source the address that sessions will come from; null: as the system chooses
 */
export async function startOurServer(
  flags: readonly string[] = [],
  program: readonly string[] = [process.execPath, MAIN],
  source: string | null = null,
): Promise<StartedServer> {
  const ports = ["--tcp-port", "0", "--udp-port", "0", "--admin-port", "off"];
  const child = Bun.spawn(pinned([...program, "serve", ...ports, "--log-format", "json", ...flags]), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: withoutEchoVariables(),
  });
  const ready = await Promise.race([readyLine(child.stdout), Bun.sleep(PATIENCE_MS).then(() => null)]);
  if (ready === null) {
    child.kill("SIGKILL");
    const said = (await new Response(child.stderr).text()).trim().split("\n", 1)[0];
    throw new Error(`the server did not start: ${said || "it said nothing"}`);
  }
  return {
    target: {
      name: "echo-server",
      tcp: loopbackAt(ready.tcp),
      udp: loopbackAt(ready.udp),
      pid: child.pid,
      source,
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

interface ReadyLine {
  readonly tcp: readonly string[];
  readonly udp: readonly string[];
}

async function readyLine(stdout: ReadableStream<Uint8Array>): Promise<ReadyLine | null> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    const line = text.split("\n").find((candidate) => candidate.includes('"msg":"ready"'));
    if (line?.endsWith("}")) return JSON.parse(line) as ReadyLine;
  }
  return null;
}

/** Where the first address of a protocol is reached from here; null where there is none. */
function loopbackAt([first]: readonly string[]): HostPort | null {
  if (first === undefined) return null;
  const endpoint = parseEndpoint(first);
  if (endpoint === null) throw new Error(`the server is ready at ${first}, which is no address and port`);
  return { host: "127.0.0.1", port: endpoint.port };
}

/** The measured server has the defaults, whatever this shell has set. */
function withoutEchoVariables(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !name.startsWith("ECHO_"),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}
