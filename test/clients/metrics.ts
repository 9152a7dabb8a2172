import { type EchoServer, until } from "../harness.ts";

/** The counters that tests ask for most. */

export async function activeSessions(server: EchoServer, protocol: "tcp" | "udp"): Promise<number> {
  return (await server.metrics()).get("echo_sessions_active", { protocol });
}

export async function refusals(server: EchoServer, protocol: "tcp" | "udp", reason: string): Promise<number> {
  return (await server.metrics()).get("echo_refused_total", { protocol, reason });
}

export async function drops(server: EchoServer, reason: string): Promise<number> {
  return (await server.metrics()).get("echo_dropped_datagrams_total", { protocol: "udp", reason });
}

/**
 * Waits until a metric has exactly that value: a client has its answer a moment before the server has counted it.
 * @throws with the value that it had last
 */
export async function untilMetric(
  server: EchoServer,
  name: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): Promise<void> {
  let last = Number.NaN;
  try {
    await until(name, async () => {
      last = (await server.metrics()).get(name, labels);
      return last === value;
    });
  } catch (error) {
    throw new Error(`${name} ${JSON.stringify(labels)} is ${last}, not ${value}`, { cause: error });
  }
}

/** Waits until the server has exactly so many sessions. */
export function untilActive(server: EchoServer, protocol: "tcp" | "udp", count: number): Promise<void> {
  return untilMetric(server, "echo_sessions_active", { protocol }, count);
}
