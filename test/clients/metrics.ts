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

/** Waits until the server has exactly so many sessions. */
export async function untilActive(server: EchoServer, protocol: "tcp" | "udp", count: number): Promise<void> {
  await until(
    `${count} ${protocol} sessions`,
    async () => (await activeSessions(server, protocol)) === count,
  );
}
