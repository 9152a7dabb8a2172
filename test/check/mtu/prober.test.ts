import { describe, expect, test } from "bun:test";
import { bunSockets } from "../../../src/client/bun/sockets.ts";
import { Failure } from "../../../src/client/failure.ts";
import type { OpenUdpSocket, UdpSocketEvents, UdpSocketOptions } from "../../../src/client/udp-socket.ts";
import { Gate } from "../../../src/diagnose/check/mtu/gate.ts";
import { Prober } from "../../../src/diagnose/check/mtu/prober.ts";
import { probeMtu } from "../../../src/diagnose/check/mtu.ts";
import type { Asked, CheckContext } from "../../../src/diagnose/check/plan.ts";
import { endpoint } from "../../client/fixtures.ts";

/** How one size is asked: by sockets that are made up, so that what comes of each datagram is known. */

const TARGET = endpoint("10.0.0.7:5678");
const OWN = endpoint("10.0.0.9:0").address;
const BANNER = new TextEncoder().encode(
  "Sun Jun 4 18:37:24 UTC 2023\nServer: 10.0.0.7:5678\nClient: 10.0.0.9:40000\n\n",
);

/** One try, as the network sees it. */
interface Sent {
  /** From 0. */
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly options: UdpSocketOptions;
  readonly events: UdpSocketEvents;
  echo(bytes?: Uint8Array, fragmentBytes?: number): void;
  tooBig(mtu: number): void;
}

class FakeNetwork {
  readonly sent: Sent[] = [];
  open = 0;
  readonly #answer: (sent: Sent) => Failure | null | undefined;

  constructor(answer: (sent: Sent) => Failure | null | undefined) {
    this.#answer = answer;
  }

  readonly openUdp: OpenUdpSocket = async (_target, options, events) => {
    this.open++;
    const number = this.sent.length;
    return {
      local: { address: OWN, port: 40_000 + number },
      send: (bytes) => {
        const tell = (came: Uint8Array, fragmentBytes: number): void =>
          events.datagram({
            bytes: came,
            from: TARGET,
            atMs: performance.now(),
            to: OWN,
            ttl: 64,
            fragmentBytes,
          });
        const sent: Sent = {
          number,
          bytes,
          options,
          events,
          echo: (came = bytes, fragmentBytes = 0) => tell(came, fragmentBytes),
          tooBig: (mtu) =>
            events.error(
              new Failure("too_big", 0, "EMSGSIZE", null, {
                by: endpoint("10.0.0.1:0").address,
                to: TARGET,
                mtu,
              }),
            ),
        };
        this.sent.push(sent);
        return this.#answer(sent) ?? null;
      },
      close: () => void this.open--,
    };
  };

  context(sockets: Partial<CheckContext["sockets"]> = {}): CheckContext {
    return {
      settings: {
        ...{ flows: 1, count: 1, size: 64, intervalMs: 1, timeoutMs: 300, bulkBytes: 0, mtu: true },
        source: { port: 4711 },
      },
      sockets: { ...bunSockets(), openUdp: this.openUdp, bySystemCalls: true, ...sockets },
      signal: new AbortController().signal,
      progress() {},
    };
  }
}

const ASKED: Asked = {
  target: "udp://10.0.0.7",
  protocol: "udp",
  name: "10.0.0.7",
  endpoint: TARGET,
  resolveMs: null,
};

function prober(network: FakeNetwork): Prober {
  return new Prober(ASKED, network.context(), () => false);
}

const DF = { dontFragment: true, tries: 3 };
const CUTTABLE = { dontFragment: false, tries: 3 };

describe("a size", () => {
  test("that is answered at once costs one datagram, and its socket is closed", async () => {
    const network = new FakeNetwork((sent) => void sent.echo());
    const look = await prober(network).probe(1472, DF);
    expect(look).toMatchObject({
      there: "passed",
      back: "whole",
      flow: "udp 10.0.0.9:40000 > 10.0.0.7:5678",
    });
    expect(network.sent.map(({ bytes }) => bytes.length)).toEqual([1472]);
    expect(network.open).toBe(0);
  });

  test("is tried three times, from a new port each, before it counts as lost", async () => {
    const network = new FakeNetwork(() => null);
    const asking = prober(network);
    asking.banners = true;
    const look = await asking.probe(1472, DF);
    expect(look).toMatchObject({ there: "lost", flow: "udp 10.0.0.9:40002 > 10.0.0.7:5678" });
    expect(network.sent.length).toBe(3);
    expect(network.sent.map(({ options }) => options.source)).toEqual([{}, {}, {}]);
    expect(new Set(network.sent.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).size).toBe(3);
    expect(network.open).toBe(0);
  });

  test("is lost on nobody knows which way where no banner was seen", async () => {
    const look = await prober(new FakeNetwork(() => null)).probe(1472, DF);
    expect(look).toMatchObject({ there: "unknown", back: "unknown" });
  });

  test("whose banner comes without the echo was lost on the way back", async () => {
    const asking = prober(new FakeNetwork((sent) => void sent.echo(BANNER)));
    expect(await asking.probe(1472, DF)).toMatchObject({ there: "passed", back: "lost" });
    expect(asking.banners).toBe(true);
  });

  test("is passed though the answer to its first try comes during the second", async () => {
    let first: Sent | null = null;
    const network = new FakeNetwork((sent) => {
      if (sent.number === 0) first = sent;
      else first!.echo();
    });
    expect(await prober(network).probe(1472, DF)).toMatchObject({ there: "passed", back: "whole" });
    expect(network.sent.length).toBe(2);
  });

  test("is cut where its echo came in fragments", async () => {
    const network = new FakeNetwork((sent) => void sent.echo(sent.bytes, 1396));
    const look = await prober(network).probe(2000, CUTTABLE);
    expect(look).toMatchObject({ there: "passed", back: "cut", fragmentBytes: 1396 });
    expect(network.sent[0]!.options).toMatchObject({ dontFragment: false, cuttable: true });
  });

  test("is told too big by who says so, at the first try", async () => {
    const network = new FakeNetwork((sent) => void sent.tooBig(1400));
    const look = await prober(network).probe(1472, DF);
    expect(look).toMatchObject({ there: "told", told: { mtu: 1400 } });
    expect(network.sent.length).toBe(1);
  });

  test("that may be cut is sent again once this machine was told how", async () => {
    const network = new FakeNetwork((sent) => void (sent.number === 0 ? sent.tooBig(1400) : sent.echo()));
    expect(await prober(network).probe(2000, CUTTABLE)).toMatchObject({ there: "passed" });
    expect(network.sent.length).toBe(2);
  });

  test("that the interface does not take is asked once, and never waited for", async () => {
    const network = new FakeNetwork(() => new Failure("too_big", 0, "EMSGSIZE"));
    expect(await prober(network).probe(1473, DF)).toMatchObject({ there: "here", flow: null });
    expect(network.sent.length).toBe(1);
  });

  test("of which only the beginning comes back is shortened at the far end", async () => {
    const network = new FakeNetwork((sent) => void sent.echo(sent.bytes.subarray(0, 8192)));
    const look = await prober(network).probe(16_000, CUTTABLE);
    expect(look).toMatchObject({ there: "passed", back: "shortened" });
  });

  test("is not passed by what a stranger sends, or by another's payload", async () => {
    const network = new FakeNetwork((sent) => {
      const datagram = { bytes: sent.bytes, atMs: 0, to: OWN, ttl: 64, fragmentBytes: 0 };
      sent.events.datagram({ ...datagram, from: endpoint("10.0.0.8:5678") });
      sent.events.datagram({ ...datagram, from: null });
      sent.echo(new Uint8Array(sent.bytes.length));
    });
    expect(await prober(network).probe(100, DF)).toMatchObject({ there: "unknown" });
  });

  test("cannot be asked where no socket can be had, and why is kept", async () => {
    const network = new FakeNetwork(() => null);
    const context = network.context({ openUdp: async () => new Failure("no_descriptors_here") });
    const asking = new Prober(ASKED, context, () => false);
    await asking.probe(1472, DF);
    expect(asking.failure?.code).toBe("no_descriptors_here");
  });
});

describe("the path MTU is not measured", () => {
  const says = async (context: CheckContext): Promise<string[]> => {
    const { mtu, problems, notes } = await probeMtu(ASKED, context);
    expect({ mtu, problems }).toEqual({ mtu: null, problems: [] });
    expect(notes.map(({ code }) => code)).toEqual(["not_measured"]);
    return notes.map((note) => note.says);
  };

  test("by Bun's sockets", async () => {
    const context = new FakeNetwork(() => null).context(bunSockets());
    expect(await says(context)).toEqual(["path MTU: not measured (needs Linux)"]);
  });

  test("where nothing is answered", async () => {
    const network = new FakeNetwork(() => null);
    expect(await says(network.context())).toEqual([
      "path MTU: not measured (small datagrams are not answered)",
    ]);
  });

  test("where no socket can be had", async () => {
    const context = new FakeNetwork(() => null).context({
      openUdp: async () => new Failure("no_descriptors_here"),
    });
    expect(await says(context)).toEqual(["path MTU: not measured (no_descriptors_here)"]);
  });

  test("to its end once the person has had enough", async () => {
    const abort = new AbortController();
    const network = new FakeNetwork((sent) => {
      if (sent.number > 10) abort.abort();
      sent.echo();
    });
    const context = { ...network.context(), signal: abort.signal };
    expect(await says(context)).toEqual(["path MTU: not measured (interrupted)"]);
    expect(network.open).toBe(0);
  });
});

test("sizes under way are few: the largest alone, small ones eight at a time", async () => {
  let underWay = 0;
  let most = 0;
  const network = new FakeNetwork((sent) => {
    underWay += sent.bytes.length;
    most = Math.max(most, underWay);
    setTimeout(() => {
      underWay -= sent.bytes.length;
      sent.echo();
    }, 5);
  });
  const { probe } = prober(network);
  const sizes = [65_507, 65_507, ...new Array<number>(20).fill(100), 32_000, 32_000];
  const looks = await Promise.all(sizes.map((size) => probe(size, CUTTABLE)));
  expect(looks.every(({ there }) => there === "passed")).toBe(true);
  expect(most).toBeLessThanOrEqual(65_536);
  expect(most).toBeGreaterThanOrEqual(65_507);
});

test("a gate lets in by the order of coming, and goes on after a fault", async () => {
  const gate = new Gate(10);
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = gate.pass(8, () => promise);
  const large = gate.pass(9, async () => {
    order.push("large");
    throw new Error("a fault");
  });
  const small = gate.pass(1, async () => void order.push("small"));
  resolve();
  await first;
  await expect(large).rejects.toThrow("a fault");
  await small;
  expect(order).toEqual(["large", "small"]);
});
