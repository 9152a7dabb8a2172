import { expect, test } from "bun:test";
import { listenTcp } from "../src/engine/bind.ts";
import { loadLibc } from "../src/sys/libc.ts";
import { startServer } from "./harness.ts";

/** The port is bound once, before anything is said: an early client waits for its loop and is never reset. */

/** A port that is free now, and most likely in a moment. */
function freePort(): number {
  const [socket] = listenTcp(["127.0.0.1"], 0, "alone");
  loadLibc().close(socket!.fd);
  return socket!.port;
}

/** Connects again and again, one at a time; how the connections of a server that starts end. */
async function hammer(port: number, stopped: () => boolean): Promise<{ served: number; reset: number }> {
  const seen = { served: 0, reset: 0 };
  while (!stopped()) {
    const { promise: ended, resolve } = Promise.withResolvers<"served" | "reset" | "refused">();
    const connecting = Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (socket) => {
          resolve("served");
          socket.end();
        },
        close: () => resolve("reset"), // nothing has come before
        error: () => {},
      },
    });
    connecting.catch((error) => resolve(error.code === "ECONNREFUSED" ? "refused" : "reset"));
    const ending = await ended;
    if (ending !== "refused") seen[ending]++;
  }
  return seen;
}

test("a client that connects while a server of two loops starts is never reset", async () => {
  for (let round = 0; round < 10; round++) {
    const port = freePort();
    let stop = false;
    const hammering = [1, 2, 3].map(() => hammer(port, () => stop));
    await using _server = await startServer(["--workers", "2", "--tcp-port", String(port)]);
    stop = true;
    for (const { reset } of await Promise.all(hammering)) expect(reset).toBe(0);
  }
});
