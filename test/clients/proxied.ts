import { PROXY_KINDS, TCP_REFUSALS } from "../../src/state/counters.ts";
import { type EchoServer, until } from "../harness.ts";
import { TcpClient, type TcpClientOptions } from "./tcp.ts";

/** What the tests of the PROXY protocol ask of a client and of the server's counters. */

/** Between bytes that are to be segments of their own, so that the server reads them one by one. */
const PACE_MS = 1;

export async function sendByteByByte(client: TcpClient, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at++) {
    client.send(bytes.subarray(at, at + 1));
    await Bun.sleep(PACE_MS);
  }
}

/** Connects and sends at once. */
export async function connectWith(
  server: EchoServer,
  bytes: Uint8Array,
  options: TcpClientOptions = {},
): Promise<TcpClient> {
  const client = await TcpClient.connect(server.tcpPort, options);
  if (client.ending === null) client.send(bytes);
  return client;
}

/** The banner's lines behind the date. */
export async function bannerLines(client: TcpClient): Promise<string[]> {
  return (await client.greeted()).trimEnd().split("\n").slice(1);
}

/** TCP refusals by reason, those at 0 left out. */
export async function refusedBy(server: EchoServer): Promise<Record<string, number>> {
  const metrics = await server.metrics();
  return aboveZero(TCP_REFUSALS, (reason) => metrics.get("echo_refused_total", { protocol: "tcp", reason }));
}

/** PROXY headers by kind, those at 0 left out. */
export async function headersBy(server: EchoServer): Promise<Record<string, number>> {
  const metrics = await server.metrics();
  return aboveZero(PROXY_KINDS, (kind) => metrics.get("echo_proxy_headers_total", { kind }));
}

/** Waits until the server has counted so many bytes of payload in, and so many in all out. */
export async function untilCounted(server: EchoServer, received: number, sent: number): Promise<void> {
  await until(`${received} bytes received and ${sent} sent`, async () => {
    const metrics = await server.metrics();
    const count = (name: string): number => metrics.get(name, { protocol: "tcp" });
    return count("echo_received_bytes_total") === received && count("echo_sent_bytes_total") === sent;
  });
}

function aboveZero(names: readonly string[], value: (name: string) => number): Record<string, number> {
  return Object.fromEntries(
    names.map((name) => [name, value(name)] as const).filter(([, count]) => count > 0),
  );
}
