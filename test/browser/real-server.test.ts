import { expect, test } from "bun:test";
import { startServer, until } from "../harness.ts";
import { Chromium } from "./chromium.ts";

/** The page of a real server, with its own policy and assets. */

test("is alive in a browser that has nothing to complain about, and tells of a session that has just begun", async () => {
  await using server = await startServer();
  await using chromium = await Chromium.start();
  await using tab = await chromium.open();
  const url = `http://127.0.0.1:${server.adminPort}/`;
  await tab.goto(url);
  const opened = () => tab.ask<string>('document.querySelector("#sessions tbody tr").cells[2].innerText');
  expect(await opened()).toBe("0");
  const client = await Bun.connect({ hostname: "127.0.0.1", port: server.tcpPort, socket: { data() {} } });
  await until("its session is shown", async () => (await opened()) === "1");
  await until("a plot of it", async () =>
    ((await tab.text("figure figcaption")) ?? "").startsWith("Sessions now TCP 1, at most 1"),
  );
  client.end();
  expect(tab.requests.filter((asked) => !asked.startsWith(url))).toEqual([]);
  expect(tab.complaints).toEqual([]);
});

test("behind a proxy with a prefix it is whole, and its links go on there", async () => {
  await using server = await startServer(["--pod-admin-ports", "tcp:1,udp:2"]);
  const prefix = "/api/v1/namespaces/echo-server/pods/server1-abc:8080/proxy";
  let isBroken = false;
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ url }) {
      const { pathname, search } = new URL(url);
      if (!pathname.startsWith(`${prefix}/`)) return new Response("not found", { status: 404 });
      const headers = { "content-type": "text/html" };
      if (isBroken) return new Response("<html><h1>Bad Gateway</h1></html>", { status: 502, headers });
      return server.fetch(pathname.slice(prefix.length) + search);
    },
  });
  await using chromium = await Chromium.start();
  await using tab = await chromium.open();
  const url = `http://127.0.0.1:${proxy.port}${prefix}/`;
  await tab.goto(url);
  const link = () => tab.ask<string>('document.querySelectorAll("#containers a")[1].href');
  await until("the script's link", async () => (await link()) === url.replace(":8080", ":2"));
  await until("plots", () => tab.ask<boolean>('document.querySelector(".plot canvas") !== null'));
  expect(tab.requests.filter((asked) => !asked.startsWith(url))).toEqual([]);
  expect(tab.complaints).toEqual([]);
  // What the proxy says for itself is a page, and no reason.
  isBroken = true;
  await until("a complaint", async () =>
    ((await tab.text(".contact")) ?? "").startsWith("The server: status 502, since"),
  );
});
