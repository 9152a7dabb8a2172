import { afterEach, describe, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { Host } from "./clients/network.ts";
import { SyncUdp } from "./clients/sync-udp.ts";
import { faultKernel, Hands, mendKernel } from "./clients/udp-hands.ts";
import { EAGAIN, runWorld } from "./clients/udp-worlds.ts";
import { ip } from "./rules/fixtures.ts";

afterEach(mendKernel);

test("what waits for room is echoed when there is some, to nobody but who sent it", () => {
  using hands = new Hands(["127.0.0.1"], { banner: false });
  using one = new SyncUdp(ip("127.0.0.1"));
  using other = new SyncUdp(ip("127.0.0.1"));
  const to = ip("127.0.0.1");
  const burst = (count: number): void => {
    for (let at = 0; at < count; at++) (at % 2 === 0 ? one : other).send(to, hands.port, Buffer.from([at]));
  };
  const numbers = (client: SyncUdp): number[] => client.receiveAll().map(({ bytes }) => bytes[0]!);
  burst(6);
  hands.turn();
  expect([numbers(one).length, numbers(other).length]).toEqual([3, 3]);
  burst(20);
  let calls = 0;
  faultKernel((count) => (calls++ % 2 === 0 ? Math.min(3, count) : { errno: EAGAIN }));
  hands.turn();
  expect([...numbers(one), ...numbers(other)]).toEqual([0, 2, 1]);
  for (let turns = 0; turns < 10; turns++) hands.turn();
  expect(numbers(one)).toEqual([4, 6, 8, 10, 12, 14, 16, 18]);
  expect(numbers(other)).toEqual([3, 5, 7, 9, 11, 13, 15, 17, 19]);
  expect(hands.count("udpSentDatagrams")).toBe(26);
  expect(hands.drops()).toEqual({});
});

test("a banner that waits for room is paid for once, and comes once", () => {
  using hands = new Hands(["127.0.0.1"], { udpBannerRate: 1 });
  using client = new SyncUdp(ip("127.0.0.1"));
  client.send(ip("127.0.0.1"), hands.port, Buffer.from("x".repeat(64)));
  faultKernel(() => ({ errno: EAGAIN }));
  for (let turns = 0; turns < 3; turns++) hands.turn();
  expect(client.receiveAll()).toEqual([]);
  mendKernel();
  hands.turn();
  const came = client.receiveAll().map(({ bytes }) => Buffer.from(bytes).toString());
  expect(came.map((text) => text.includes("Client: "))).toEqual([true, false]);
  expect(hands.count("udpBannersSuppressed")).toBe(0);
  expect(hands.count("udpSentDatagrams")).toBe(2);
});

describe("each datagram comes back once, and is counted once", () => {
  const kernels = [
    { named: "a kernel that takes all", faults: 0, refusals: 0 },
    { named: "a kernel that takes none or a part", faults: 40, refusals: 0 },
    { named: "a kernel that refuses some", faults: 20, refusals: 10 },
  ];
  for (const hosts of [["0.0.0.0"], ["127.0.0.1"], ["::"], ["::1", "127.0.0.1"]])
    for (const { named, faults, refusals } of kernels)
      for (const banner of [true, false])
        for (const rate of [0, 1e9])
          test(`${hosts}, ${named}, ${banner ? "banners" : "no banners"}${rate > 0 ? ", a rate" : ""}`, () => {
            const runs = Number(process.env["ECHO_TEST_RUNS"] ?? 1);
            for (let seed = 1; seed <= runs; seed++)
              runWorld(
                { hosts, banner, rate, faults, refusals, locals6: ["::1"] },
                seed * 7919 + hosts.length,
                40,
              );
          });
});

test("so too over IPv6 on a host of many addresses", async () => {
  await using host = await Host.make();
  const addresses = ["fd00::1", "fd00::2", "fd00:0:0:1::1"];
  await host.configure(addresses.map((address) => `ip address add ${address}/128 dev lo nodad`).join("\n"));
  const script = fileURLToPath(new URL("./clients/udp-worlds-ipv6.ts", import.meta.url));
  expect(await host.run(process.execPath, script, ...addresses)).toBe("well\n");
});
