import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../../src/net/endpoint.ts";
import { end } from "../../check/fixtures.ts";
import type { FaultName } from "./tcp.ts";

/** Starts the small TCP servers of `tcp.ts` as processes of their own: a client that blocks its thread is served too. */

export interface FaultyProcess extends AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly pid: number;
}

const PROGRAM = fileURLToPath(new URL("tcp.ts", import.meta.url));

/**
 * @param bytes of a session after which the server is late, see `tcp.ts`
 * @param enter what a command is put behind to run on another host; default: this one
 */
export async function startFaulty(
  name: FaultName,
  bytes?: number,
  address = "127.0.0.1",
  enter: readonly string[] = [],
): Promise<FaultyProcess> {
  const args = [name, address, "0", ...(bytes === undefined ? [] : [String(bytes)])];
  const own = ["setpriv", "--pdeathsig", "KILL"]; // it ends with the tests, however these do
  const child = Bun.spawn([...enter, ...own, process.execPath, PROGRAM, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = new TextDecoder().decode(value).trim();
  return {
    endpoint: end(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`),
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
