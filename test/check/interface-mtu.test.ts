import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { interfaceMtu } from "../../src/diagnose/check/interface-mtu.ts";
import { end } from "./fixtures.ts";

test("the loopback's MTU is the largest IP packet, which it says it exceeds by one", async () => {
  expect(await interfaceMtu(end("127.0.0.1:0").address)).toBe(65_535);
});

test("each interface's is what its device has", async () => {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const mtu = Number(await Bun.file(`/sys/class/net/${name}/mtu`).text());
    for (const { address, family } of addresses ?? []) {
      const { address: parsed } = end(family === "IPv6" ? `[${address}]:0` : `${address}:0`);
      expect([name, await interfaceMtu(parsed)]).toEqual([name, Math.min(mtu, 65_535)]);
    }
  }
});

test("of an address that is no interface's it is not known", async () => {
  expect(await interfaceMtu(end("203.0.113.7:0").address)).toBeNull();
});
