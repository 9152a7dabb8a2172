import { expect, test } from "bun:test";
import fc from "fast-check";
import { addressOf, hostName } from "../../src/page/host.ts";

/** Links to other ports of a host that whoever asks may have written. */

test("names, addresses of both families, with a port and without", () => {
  const links: [string, string][] = [
    ["localhost:8080", "http://localhost:9/"],
    ["server1.headless", "http://server1.headless:9/"],
    ["my_box-2:1", "http://my_box-2:9/"],
    ["10.0.0.7:8080", "http://10.0.0.7:9/"],
    ["[fd00::1]", "http://[fd00::1]:9/"],
    ["[::ffff:10.0.0.1]:8080", "http://[::ffff:10.0.0.1]:9/"],
  ];
  for (const [host, link] of links) expect([host, addressOf(host, 9)]).toEqual([host, link]);
});

test("no link is made of anything else", () => {
  const none = [
    null,
    "",
    ":8080",
    "a b",
    "a:b",
    "a:123456",
    "user@host",
    "host/path",
    "host?x",
    "host#x",
    "//evil",
    'a"onclick="x',
    "a'b",
    "<script>",
    "a\\b",
    "a:80:80",
    "fd00::1",
    "[fe80::1%eth0]:80",
    "[",
    "[]",
    "[x]",
    "é",
    "a\n",
    "a".repeat(254),
  ];
  for (const host of none) expect([host, hostName(host)]).toEqual([host, null]);
});

test("behind kubectl proxy a link is the way to the Pod's other port there, behind any other prefix there is none", () => {
  const from = "/api/v1/namespaces/echo-server/pods/server1-abc:8080/proxy/";
  for (const [path, link] of [
    [from, "../../server1-abc:9/proxy/"],
    [from.replace(":8080", ""), "../../server1-abc:9/proxy/"],
    [from.replace("server1", "http:server1"), "../../http:server1-abc:9/proxy/"],
    [from.replace("/pods/", "/services/"), null],
    ["/echo/", null],
  ] as const)
    expect([path, addressOf("localhost:8001", 9, path)]).toEqual([path, link]);
  const there = new URL(addressOf("localhost:8001", 8081, from)!, `http://localhost:8001${from}`);
  expect(there.href).toBe(`http://localhost:8001${from.replace("8080", "8081")}`);
});

test("whatever the host is, a link has its name and the port, and nothing else", () => {
  const nasty = fc.string({ unit: fc.constantFrom(..."ab1.:[]@/?#%\"'<>&\\ -_\t\n"), maxLength: 20 });
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      const link = addressOf(host, port);
      if (link === null) return;
      expect(link).toMatch(/^http:\/\/[A-Za-z0-9._:[\]-]+:\d+\/$/);
      expect(link).toEndWith(`:${port}/`);
      expect(link.slice("http://".length)).toStartWith(hostName(host)!);
    }),
    { numRuns: 2000 },
  );
});
