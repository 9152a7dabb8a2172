import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Connection, Dial } from "../../src/client/dial.ts";
import { until } from "../harness.ts";
import { DIALS } from "./servers.ts";
import { SyncListener, type SyncPeer } from "./sync-peer.ts";

/**
 * What is told of a connection, however its two ends act and however late this thread looks: one beginning; bytes, then one
 * FIN, then one close, and nothing after it; an end of the other end's is told in any case, and every byte before its FIN.
 */

/** Sequences are tried for so long with each way of connecting. */
const TRY_MS = 1000;

const BIG_BYTES = 1024 * 1024;

const acts = fc.record({
  /** The connection is seen before anything is done with it. */
  seen: fc.boolean(),
  steps: fc.array(
    fc.constantFrom(
      ...(["send", "send", "send much", "fin", "reset", "close", "take"] as const),
      ...(["write", "write", "write much", "pause", "resume", "shutdown"] as const),
      ...(["turn", "turn", "late"] as const),
    ),
    { maxLength: 10, size: "max" },
  ),
});

type Step = (typeof acts extends fc.Arbitrary<infer Acts> ? Acts : never)["steps"][number];

/** This end, and what was told of it. */
class Told {
  readonly events: string[] = [];
  bytes = 0;
  #connection: Connection | null = null;

  constructor(dial: Dial, listener: SyncListener) {
    const tell = (event: string): void => void this.events.push(event);
    dial(
      listener.endpoint,
      {},
      {
        connected: (connection) => {
          this.#connection = connection;
          tell("connected");
        },
        failed: () => tell("failed"),
        data: (bytes) => {
          this.bytes += bytes.length;
          if (this.events.at(-1) !== "data") tell("data");
        },
        writable() {},
        fin: () => tell("fin"),
        closed: () => tell("closed"),
      },
    );
  }

  has(...events: string[]): boolean {
    return events.some((event) => this.events.includes(event));
  }

  /** Null while there is none, and after it. */
  get connection(): Connection | null {
    return this.has("closed") ? null : this.#connection;
  }
}

async function step(step: Step, told: Told, peer: SyncPeer): Promise<void> {
  const { connection } = told;
  if (step === "send") peer.send(100);
  else if (step === "send much") peer.send(BIG_BYTES);
  else if (step === "fin") peer.sendFin();
  else if (step === "reset") peer.reset();
  else if (step === "close") peer.close();
  else if (step === "take") peer.read();
  else if (step === "turn") await Bun.sleep(2);
  else if (step === "late") Bun.sleepSync(2);
  else if (step === "pause") connection?.pause();
  else if (step === "resume") connection?.resume();
  else if (step === "shutdown") connection?.shutdown();
  else connection?.write(new Uint8Array(step === "write" ? 50 : 4 * BIG_BYTES));
}

for (const [name, dial] of DIALS) {
  test(`whatever happens to a connection made by ${name} is told once, in its order`, async () => {
    const endMs = performance.now() + TRY_MS;
    const isTold = fc.asyncProperty(acts, async ({ seen, steps }) => {
      if (performance.now() > endMs) return;
      using listener = new SyncListener();
      const told = new Told(dial, listener);
      let accepted: SyncPeer | null = null;
      await until("the other end has it", () => {
        accepted ??= listener.accept();
        return accepted !== null;
      });
      using peer = accepted! as SyncPeer;
      if (seen) await until("it is connected", () => told.has("connected"));
      for (const each of steps) await step(each, told, peer);
      told.connection?.resume();
      await until("it is seen", () => told.has("connected", "failed"));
      if (peer.state === "reset") await until("the reset is told", () => told.has("closed", "failed"));
      else if (peer.state !== "open")
        await until("the end is told", () => told.has("fin", "closed", "failed"));
      if (peer.state === "fin" && told.has("connected")) expect(told.bytes).toBe(peer.sent);
      told.connection?.terminate();
      if (told.has("connected")) await until("the close is told", () => told.has("closed"));
      expect(told.events.join(" ")).toMatch(/^(failed|connected( data)?( fin)? closed)$/);
    });
    await fc.assert(isTold, { numRuns: 1000, endOnFailure: true });
  });
}
