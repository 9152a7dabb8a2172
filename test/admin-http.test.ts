import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HttpServer, makeConnectionCounts } from "../src/admin/http-server.ts";
import type { Endpoint } from "../src/net/endpoint.ts";
import { RawHttp, statuses } from "./clients/http.ts";
import { cpuSeconds, isStopped } from "./clients/machine.ts";
import { untilMetric } from "./clients/metrics.ts";
import { connectMany, disposeAll, TcpClient } from "./clients/tcp.ts";
import { type EchoServer, startServer, until } from "./harness.ts";

const PATHS = ["/", "/livez", "/readyz", "/metrics"];
const ENGINES = process.platform === "linux" ? ["bun", "linux"] : ["bun"];
const HOST = "Host: a\r\n";

let server: EchoServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const connect = (options: { stalled?: boolean } = {}) => RawHttp.connect(server.adminPort, options);
async function answer(text: string): Promise<string> {
  using client = await connect();
  return await client.send(text).toEnd();
}

describe("HTTP as clients speak it", () => {
  test("HTTP/1.0 without Host, and odd Hosts, get an answer from every path", async () => {
    for (const path of PATHS) {
      expect(await answer(`GET ${path} HTTP/1.0\r\n\r\n`)).toStartWith("HTTP/1.1 200 OK\r\n");
      for (const host of ["", "a b", "[::1%eth0]:80", "1.2.3.4:99999", "-_.!", "x".repeat(5000)]) {
        const asked = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
        expect([path, host, statuses(await answer(asked))]).toEqual([path, host, [200]]);
      }
    }
  });

  test("a balancer's plain checks: OPTIONS / and GET /livez in HTTP/1.0, and what the kubelet sends", async () => {
    expect(await answer("OPTIONS / HTTP/1.0\r\n\r\n")).toMatch(
      /^HTTP\/1.1 204 .*\r\nallow: GET, HEAD, OPTIONS\r\n/,
    );
    expect(await answer("GET /livez HTTP/1.0\r\n\r\n")).toEndWith("\r\n\r\nlive\n");
    const kubelet = `${HOST}User-Agent: kube-probe/1.34\r\nAccept: */*\r\nConnection: close\r\n\r\n`;
    expect(await answer(`GET /readyz HTTP/1.1\r\n${kubelet}`)).toEndWith("\r\n\r\nready\n");
  });

  test("an answer has a length, the time, and what becomes of the connection; HEAD's is the same without the body", async () => {
    using client = await connect();
    client.send(`GET /livez HTTP/1.1\r\n${HOST}\r\n`);
    await until("an answer", () => client.received.endsWith("live\n"));
    const [head, body] = client.received.split("\r\n\r\n");
    for (const field of ["content-length: 5", "connection: keep-alive", "cache-control: no-store"])
      expect(head!.split("\r\n")).toContain(field);
    expect(Date.parse(/\r\ndate: (.*)/.exec(head!)![1]!)).toBeWithin(
      Date.now() - 60_000,
      Date.now() + 60_000,
    );
    expect(body).toBe("live\n");
    const plain = await answer("HEAD /livez HTTP/1.0\r\n\r\n");
    expect(plain).toContain("\r\ncontent-length: 5\r\n");
    expect(plain).toContain("\r\nconnection: close\r\n");
    expect(plain).toEndWith("\r\n\r\n");
  });

  test("curl and wget", async () => {
    const run = async (...command: string[]): Promise<string> => {
      const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
      return child.stdout.text();
    };
    const url = `${server.adminUrl}/livez`;
    expect(await run("curl", "-s", url)).toBe("live\n");
    expect(await run("curl", "-s", "--http1.0", url)).toBe("live\n");
    expect(await run("curl", "-s", "-w", "%{http_code} %{num_connects}", url, url)).toBe(
      "live\n200 1live\n200 0",
    );
    expect(await run("curl", "-sI", "-w", "%{http_code}", "-o", "/dev/null", url)).toBe("200");
    const body = ["-d", "x".repeat(500), "-w", "%{http_code} "];
    expect(await run("curl", "-s", ...body, url, "-o", "/dev/null", url, "-o", "/dev/null")).toBe("405 405 ");
    expect(await run("wget", "-qO-", url)).toBe("live\n");
  });
});

describe("HTTP requests in pieces and in a row", () => {
  test("requests in one piece are answered in order, and none after the one that closes", async () => {
    const one = (path: string, more = "") => `GET ${path} HTTP/1.1\r\n${HOST}${more}\r\n`;
    const asked = [
      one("/readyz"),
      one("/livez"),
      one("/x"),
      `POST /livez HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nGET `,
      one("/metrics"),
      one("/", "Connection: close\r\n"),
      one("/livez"),
    ];
    const all = await answer(asked.join(""));
    expect(statuses(all)).toEqual([200, 200, 404, 405, 200, 200]);
    expect(all.indexOf("ready\n")).toBeLessThan(all.indexOf("live\n"));
    expect(all).toEndWith("</html>\n");
  });

  test("byte by byte, and with a FIN right after: answered all the same", async () => {
    using slow = await connect();
    for (const byte of `GET /livez HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`) {
      slow.send(byte);
      await Bun.sleep(0);
    }
    expect(await slow.toEnd()).toEndWith("live\n");
    for (const path of PATHS) {
      using brief = await connect();
      const asked = `GET ${path} HTTP/1.1\r\n${HOST}\r\n`;
      expect(statuses(await brief.send(asked).halfClose().toEnd())).toEqual([200]);
    }
    using silent = await connect();
    expect(await silent.halfClose().toEnd()).toBe("");
  });
});

describe("HTTP that the admin port refuses", () => {
  test("a wrong request gets its error as an answer, though more was sent than is read", async () => {
    const wrong: [string, number][] = [
      ["hello\r\n", 400],
      [`GET /${"x".repeat(5000)}`, 414],
      [`GET / HTTP/1.1\r\n${HOST}X: ${"x".repeat(9000)}`, 431],
      [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 501],
      [`POST / HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${"x".repeat(1_000_000)}`, 413],
      ["GET / HTTP/2.0\r\n\r\n", 505],
    ];
    const before = await server.metrics();
    for (const [text, status] of wrong) {
      using client = await connect();
      expect(statuses(await client.send(text).toEnd())).toEqual([status]);
      expect(client.ending).toBe("fin");
    }
    const name = "echo_admin_connections_closed_total";
    const labels = { reason: "bad_request" };
    await untilMetric(server, name, labels, before.get(name, labels) + wrong.length);
  });

  test("a client that asks on and on and reads no answer is reset", async () => {
    using client = await connect({ stalled: true });
    const asked = `GET /livez HTTP/1.1\r\n${HOST}\r\n`.repeat(1000);
    await until("the server has enough", () => {
      if (client.ending === null) client.send(asked);
      return client.ending !== null;
    });
    expect(client.ending).toBe("reset");
  });
});

test("who is slow to ask, idle, or does not take an answer is ended in time, and counted", async () => {
  await using server = await startServer();
  using silent = await RawHttp.connect(server.adminPort);
  using idle = await RawHttp.connect(server.adminPort);
  await idle.send(`GET /livez HTTP/1.1\r\n${HOST}\r\n`).answers(1);
  using dripping = await RawHttp.connect(server.adminPort);
  dripping.send(`GET /livez HTTP/1.1\r\n${HOST}`);
  await until("all are ended", async () => {
    if (dripping.ending === null) dripping.send("X: y\r\n"); // a byte now and then must not buy more time
    await Bun.sleep(50);
    return [silent, idle, dripping].every(({ ending }) => ending !== null);
  });
  expect([silent.ending, idle.ending, dripping.ending]).toEqual(["fin", "fin", "reset"]);
  await untilMetric(server, "echo_admin_connections_closed_total", { reason: "timeout" }, 3);
});

test("who has asked, or read, in time is answered, however late the server is to see it", async () => {
  await using server = await startServer();
  await server.fetch("/page.js"); // which is made at the first question
  using reader = await RawHttp.connect(server.adminPort, { stalled: true });
  reader.send(`GET /page.js HTTP/1.1\r\n${HOST}\r\n`.repeat(100)); // more than the kernel takes
  const ask = `GET /livez HTTP/1.1\r\n${HOST}\r\n`;
  const clients = await Promise.all([1, 2, 3].map(() => RawHttp.connect(server.adminPort)));
  await Promise.all(clients.map((client) => client.send(ask).answers(1)));
  server.kill("SIGSTOP");
  try {
    await until("the server has stopped", () => isStopped(server.pid));
    for (const client of clients) client.send(ask);
    reader.resume();
    await Bun.sleep(10_500); // longer than it waits for anybody
  } finally {
    server.kill("SIGCONT");
  }
  await Promise.all(clients.map((client) => client.answers(2)));
  expect(clients.map(({ ending }) => ending)).toEqual([null, null, null]);
  await until("all is read", () => reader.ending !== null || statuses(reader.received).length === 100);
  expect(reader.ending).toBeNull();
  disposeAll(clients);
});

describe("the cap of connections", () => {
  for (const engine of ENGINES) {
    test(`${engine}: 1,000 idle ones under a limit of 200 files: probes and newcomers are answered all the while, no spin`, async () => {
      await using server = await startServer(["--engine", engine], { openFiles: 200 });
      const idle: RawHttp[] = [];
      try {
        let arriving = true;
        const flood = (async () => {
          for (let at = 0; at < 1000; at += 50) {
            const some = Array.from({ length: 50 }, () => RawHttp.connect(server.adminPort));
            for (const client of await Promise.all(some)) idle.push(client.send("GET /livez"));
          }
          arriving = false;
        })();
        let asked = 0;
        while (arriving || asked < 20) {
          for (const path of ["/livez", "/readyz"]) {
            using probe = await RawHttp.connect(server.adminPort);
            expect(statuses(await probe.send(`GET ${path} HTTP/1.0\r\n\r\n`).toEnd())).toEqual([200]);
          }
          asked++;
        }
        await flood;
        using newcomer = await TcpClient.connect(server.tcpPort);
        expect(await newcomer.echoes("hello")).toBe(true);

        const metrics = await server.metrics();
        expect(metrics.get("echo_admin_connections_active")).toBeWithin(1, 13);
        const ended = metrics.get("echo_admin_connections_closed_total", { reason: "max_connections" });
        expect(ended).toBeGreaterThan(900);
        const started = performance.now();
        const before = cpuSeconds(server.pid);
        await Bun.sleep(700); // a stretch of time to measure, not an event to wait for
        expect((cpuSeconds(server.pid) - before) / ((performance.now() - started) / 1000)).toBeLessThan(0.2);
      } finally {
        disposeAll(idle);
      }
    });

    test(`${engine}: sessions that take all they can get leave admin its descriptors`, async () => {
      const limits = ["--engine", engine, "--max-tcp-sessions", "10000"];
      await using server = await startServer(limits, { openFiles: 200 });
      const sessions = await connectMany(server.tcpPort, 300);
      await until("each is greeted or reset", () =>
        sessions.every(({ ending, banner }) => ending !== null || banner !== null),
      );
      expect(sessions.filter(({ ending }) => ending === null).length).toBeGreaterThan(80);
      const idle = await Promise.all(Array.from({ length: 12 }, () => RawHttp.connect(server.adminPort)));
      await Promise.all(idle.map((client) => client.send(`GET /livez HTTP/1.1\r\n${HOST}\r\n`).answers(1)));
      expect(idle.every(({ ending }) => ending === null)).toBe(true);
      for (let times = 0; times < 20; times++) {
        using probe = await RawHttp.connect(server.adminPort);
        expect(await probe.send("GET /livez HTTP/1.0\r\n\r\n").toEnd()).toEndWith("live\n");
      }
      expect((await server.metrics()).get("process_open_fds")).toBeLessThan(200);
      disposeAll([...sessions, ...idle]);
    });
  }

  test("the longest-idle goes, and one that has just asked stays", async () => {
    await using server = await startServer(["--max-admin-connections", "3"]);
    const ask = `GET /livez HTTP/1.1\r\n${HOST}\r\n`;
    using first = await RawHttp.connect(server.adminPort);
    await first.send(ask).answers(1);
    using second = await RawHttp.connect(server.adminPort);
    await second.send(ask).answers(1);
    using third = await RawHttp.connect(server.adminPort);
    await third.send(ask).answers(1);
    await first.send(ask).answers(2); // now the second has been idle longest
    using fourth = await RawHttp.connect(server.adminPort);
    await fourth.send(ask).answers(1);
    await second.toEnd();
    expect(second.ending).toBe("fin");
    await first.send(ask).answers(3);
    expect([first.ending, third.ending, fourth.ending]).toEqual([null, null, null]);
  });

  test("a burst that is accepted at once: all who have asked are answered", async () => {
    await using server = await startServer(["--max-admin-connections", "3"]);
    server.kill("SIGSTOP");
    const burst: RawHttp[] = [];
    try {
      const connecting = Array.from({ length: 300 }, () => RawHttp.connect(server.adminPort));
      burst.push(...(await Promise.all(connecting)));
      for (const [at, client] of burst.entries()) {
        if (at % 3 !== 0) client.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
      }
    } finally {
      server.kill("SIGCONT");
    }
    const asking = burst.filter((_, at) => at % 3 !== 0);
    await until("each has its answer or an end", () =>
      asking.every(({ received, ending }) => received !== "" || ending !== null),
    );
    expect(asking.filter(({ received }) => !received.endsWith("live\n"))).toEqual([]);
    disposeAll(burst);
  });
});

describe("answers of bytes", () => {
  const listening = { hosts: ["127.0.0.1"], port: 0, connectionsMax: 66, descriptorsMax: 10_000 };

  test("go whole to who reads late, and to many at once without a copy for each", async () => {
    const body = Buffer.alloc(8 << 20, "0123456789abcde\n"); // more than the kernel takes for one connection
    const pieces = [body.subarray(0, 5_000_000), new Uint8Array(0), body.subarray(5_000_000)];
    const answer = { status: 200, headers: { "content-type": "text/plain" }, body: pieces };
    const http = new HttpServer(listening, () => answer, makeConnectionCounts());
    const [{ port }] = http.bound as [Endpoint];
    const stalled = await Promise.all(
      Array.from({ length: 64 }, () => RawHttp.connect(port, { stalled: true })),
    );
    try {
      Bun.gc(true);
      const before = process.memoryUsage.rss();
      for (const client of stalled) client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
      const whole = await fetch(`http://127.0.0.1:${port}/`); // asked after all of them
      expect(Buffer.from(await whole.arrayBuffer()).equals(body)).toBe(true);
      expect(process.memoryUsage.rss() - before).toBeLessThan(200 << 20); // a copy for each would be 512 MiB
      const late = stalled[0]!.resume();
      await until("all has come", () => late.received.length >= body.length);
      expect(late.received.slice(late.received.indexOf("\r\n\r\n") + 4)).toBe(body.toString("latin1"));

      using head = await RawHttp.connect(port);
      expect(await head.send("HEAD / HTTP/1.0\r\n\r\n").toEnd()).toEndWith(
        `content-length: ${body.length}\r\n\r\n`,
      );
    } finally {
      disposeAll(stalled);
      http.stop();
    }
  });
});

describe("scrapes", () => {
  test("from many clients in a loop show no state older than their question, and are rendered far apart", async () => {
    await using server = await startServer();
    using client = await TcpClient.connect(server.tcpPort);
    const started = performance.now();
    let echoed = 0;
    const scrape = async (): Promise<void> => {
      for (let times = 0; times < 10; times++) {
        const known = echoed;
        const metrics = await server.metrics();
        expect(metrics.get("echo_received_bytes_total", { protocol: "tcp" })).toBeGreaterThanOrEqual(known);
      }
    };
    let over = false;
    const traffic = (async () => {
      while (!over) {
        expect(await client.echoes("x".repeat(10))).toBe(true);
        echoed += 10;
      }
    })();
    await Promise.all(Array.from({ length: 5 }, scrape));
    over = true;
    await traffic;
    expect(performance.now() - started).toBeGreaterThan(850); // ten renders, 100 ms from start to start
    expect(echoed).toBeGreaterThan(0);
  });
});
