import { afterAll, describe, expect, test } from "bun:test";
import type { Dial } from "../../../src/client/dial.ts";
import { closeLinuxSockets } from "../../../src/client/linux/sockets.ts";
import { askFlows } from "../../../src/diagnose/check/tcp/flows.ts";
import type { Endpoint } from "../../../src/net/endpoint.ts";
import { tcpServer } from "../../client/servers.ts";
import { SETTINGS } from "../udp/ask.ts";
import { SOCKETS } from "./sockets.ts";

/** How the sessions of an address are begun: one after another where all is well, and not where it takes too long. */

afterAll(() => closeLinuxSockets());

/** A connect waits for so long at least. */
const CONNECT_MS = 8000;

for (const [way, sockets] of SOCKETS) {
  const ask = (target: Endpoint, dial: Dial, flows = 10) =>
    askFlows(target, {
      settings: { ...SETTINGS, flows, count: 2, size: 64, intervalMs: 10, bulkBytes: 0 },
      sockets: { ...sockets, dial },
      signal: new AbortController().signal,
      progress() {},
    });

  describe(`by ${way}`, () => {
    test("one after another where all is well", async () => {
      let open = 0;
      let most = 0;
      using server = tcpServer();
      const dial: Dial = (target, source, events) => {
        most = Math.max(most, ++open);
        return sockets.dial(target, source, {
          ...events,
          closed(error) {
            open--;
            events.closed(error);
          },
        });
      };
      const flows = await ask(server.endpoint, dial);
      expect(flows.map(({ received }) => received)).toEqual(Array(10).fill(2));
      expect({ most, open }).toEqual({ most: 1, open: 0 });
    });

    test.concurrent("where nothing answers, all of them in the time of one", async () => {
      using server = tcpServer();
      const begun: number[] = [];
      const dial: Dial = () => {
        begun.push(performance.now());
        return () => {};
      };
      const startMs = performance.now();
      const flows = await ask(server.endpoint, dial, 30);
      const tookMs = performance.now() - startMs;
      expect(flows.map(({ failure }) => failure?.code)).toEqual(Array(10).fill("timeout"));
      expect(begun[1]! - begun[0]!).toBeGreaterThan(1000); // a first SYN may be lost
      expect(tookMs).toBeGreaterThan(begun.at(-1)! - startMs + CONNECT_MS * 0.99);
      expect(tookMs).toBeLessThan(1.6 * CONNECT_MS);
    });

    test.concurrent("a connect that is slow, and others beside it: each is answered", async () => {
      using server = tcpServer();
      let dials = 0;
      const dial: Dial = (target, source, events) => {
        if (dials++ > 0) return sockets.dial(target, source, events);
        let giveUp = (): void => {};
        setTimeout(() => {
          giveUp = sockets.dial(target, source, events);
        }, 2500);
        return () => giveUp();
      };
      const flows = await ask(server.endpoint, dial);
      expect(flows.map(({ received, failure }) => [received, failure])).toEqual(Array(10).fill([2, null]));
      expect(flows.filter(({ bulk }) => bulk !== null)).toHaveLength(1);
    });
  });
}
