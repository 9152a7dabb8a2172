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
