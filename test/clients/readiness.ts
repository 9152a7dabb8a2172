import { expect } from "bun:test";
import { type EchoServer, until } from "../harness.ts";

/** The status and the line of `/readyz`. */
export async function readiness(server: EchoServer): Promise<string> {
  const response = await server.fetch("/readyz");
  return `${response.status} ${(await response.text()).trim()}`;
}

/** Waits until the probe has come through so many times more, each try a new one. */
export async function probed(server: EchoServer, times: number): Promise<void> {
  const tries = async () => (await server.metrics()).get("echo_probe_total", { result: "ok" });
  const before = await tries();
  await until(`${times} probes`, async () => {
    expect(await readiness(server)).toStartWith("200 ready");
    return (await tries()) >= before + times;
  });
}
