import { expect, test } from "bun:test";
import { patternBytes } from "./clients/bytes.ts";
import { untilActive, untilMetric } from "./clients/metrics.ts";
import { connectMany, disposeAll, type TcpClient } from "./clients/tcp.ts";
import { UdpClient } from "./clients/udp.ts";
import { type Metrics, startServer } from "./harness.ts";

/** Counters tell what the clients counted, while they are at it and after. */

const TCP = { protocol: "tcp" };
const UDP = { protocol: "udp" };

const total = (clients: readonly TcpClient[], count: (client: TcpClient) => number): number =>
  clients.reduce((sum, client) => sum + count(client), 0);

test("1,000 TCP sessions, scraped while they are busy: all are active, and every byte is counted once", async () => {
  await using server = await startServer();
  const clients = await connectMany(server.tcpPort, 1000);
  const banners = await Promise.all(clients.map((client) => client.greeted()));
  const bannerBytes = banners.reduce((sum, banner) => sum + banner.length, 0);
  await untilActive(server, "tcp", 1000);

  let busy = true;
  const scrapes: Metrics[] = [];
  const scraping = (async () => {
    while (busy || scrapes.length < 3) scrapes.push(await server.metrics());
  })();
  for (let round = 1; round <= 5; round++) {
    for (const [at, client] of clients.entries()) client.send(patternBytes(1 + ((at * 37 + round) % 5000)));
    await Promise.all(
      clients.map((client, at) => client.receivedBytes(banners[at]!.length + client.bytesSent)),
    );
  }
  busy = false;
  await scraping;

  const sent = total(clients, (client) => client.bytesSent);
  await untilMetric(server, "echo_received_bytes_total", TCP, sent);
  await untilMetric(server, "echo_sent_bytes_total", TCP, sent + bannerBytes);
  expect(total(clients, (client) => client.bytesReceived)).toBe(sent + bannerBytes);
  for (const scrape of scrapes) expect(scrape.get("echo_sessions_active", TCP)).toBe(1000);
  for (const name of ["echo_received_bytes_total", "echo_sent_bytes_total"]) {
    const seen = scrapes.map((scrape) => scrape.get(name, TCP));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b)); // a counter never goes back
  }

  for (const client of clients.slice(0, 600)) client.halfClose();
  await Promise.all(clients.slice(0, 600).map((client) => client.ended));
  disposeAll(clients.slice(600));
  await untilActive(server, "tcp", 0);
  const after = await server.metrics();
  expect(after.get("echo_sessions_opened_total", TCP)).toBe(1000);
  expect(after.get("echo_closed_total", { ...TCP, reason: "client" })).toBe(600);
  expect(after.get("echo_closed_total", { ...TCP, reason: "reset" })).toBe(400);
  expect(after.get("echo_session_duration_seconds_count", TCP)).toBe(1000);
  expect(after.get("echo_received_bytes_total", TCP)).toBe(sent);
});

test("UDP: datagrams and bytes, banners among them", async () => {
  await using server = await startServer();
  const clients = await Promise.all(Array.from({ length: 200 }, () => UdpClient.open(server.udpPort)));
  try {
    let datagrams = 0;
    let bytes = 0;
    for (let round = 0; round < 5; round++) {
      for (const [at, client] of clients.entries()) {
        const datagram = patternBytes((at * 13 + round) % 1400, at);
        datagrams++;
        bytes += datagram.length;
        client.send(datagram);
      }
      await Promise.all(clients.map((client) => client.receives(round + 2)));
    }
    await untilMetric(server, "echo_received_datagrams_total", UDP, datagrams);
    await untilMetric(server, "echo_received_bytes_total", UDP, bytes);
    const received = clients.flatMap((client) => client.received);
    await untilMetric(server, "echo_sent_datagrams_total", UDP, received.length);
    const receivedBytes = received.reduce((sum, datagram) => sum + datagram.length, 0);
    await untilMetric(server, "echo_sent_bytes_total", UDP, receivedBytes);
    expect(received.length).toBe(datagrams + clients.length);
    await untilActive(server, "udp", 200);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
});
