import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runTask, type TaskOptions } from "../../src/diagnose/thread.ts";
import type { UdpAnswer } from "../../src/diagnose/udp-ask-task.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { endpoint, PATIENCE_MS, SIZE } from "../client/fixtures.ts";
import { udpServer } from "../client/servers.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer, until } from "../harness.ts";

await requireTools();

type Options = TaskOptions<{ readonly port: number }>;

const QUIET: Options = { signal: new AbortController().signal, onEvent() {}, bySystemCalls: true };

function ask(target: Endpoint, options: Partial<Options> = {}, size = SIZE): Promise<UdpAnswer> {
  return runTask("udp-ask", { target, size, timeoutMs: PATIENCE_MS }, { ...QUIET, ...options });
}

/** Bytes that this process has mapped (proc(5), `statm`). */
async function mappedBytes(): Promise<number> {
  return 4096 * Number((await Bun.file("/proc/self/statm").text()).split(" ")[0]);
}

for (const bySystemCalls of [true, false]) {
  describe(`a task ${bySystemCalls ? "by system calls in its thread" : "by Bun's sockets in this one"}`, () => {
    test("tells its events, then its outcome", async () => {
      await using server = await startServer();
      const ports: number[] = [];
      const onEvent = ({ port }: { readonly port: number }): void => void ports.push(port);
      const answer = await ask(endpoint(`127.0.0.1:${server.udpPort}`), { bySystemCalls, onEvent });
      expect(answer).toEqual({ bySystemCalls, roundTripMs: expect.any(Number), failure: null });
      expect(ports).toEqual([expect.any(Number)]);
    });

    test("ends when it is aborted: before it begins, and while it waits", async () => {
      using mute = await udpServer(() => {});
      const before = ask(mute.endpoint, { bySystemCalls, signal: AbortSignal.abort() });
      expect(await before).toEqual({ bySystemCalls, roundTripMs: null, failure: "aborted" });
      const abort = new AbortController();
      const onEvent = (): void => abort.abort(); // it has begun
      const answer = await ask(mute.endpoint, { bySystemCalls, signal: abort.signal, onEvent });
      expect(answer.failure).toBe("aborted");
    });

    test("fails with what it throws", async () => {
      using mute = await udpServer(() => {});
      expect(ask(mute.endpoint, { bySystemCalls }, -1)).rejects.toThrow("length");
    });
  });
}

/** What a task in a thread comes to where something is broken on purpose. */
async function askBroken(preload: string, ...args: string[]): Promise<string> {
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const command = [
    process.execPath,
    "--preload",
    file(`../preloads/${preload}.ts`),
    file("./ask-in-thread.ts"),
  ];
  const child = Bun.spawn([...command, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  expect(await child.exited).toBe(0);
  return (await child.stdout.text()).trim();
}

test("a thread that dies is an error with its reason", async () => {
  expect(await askBroken("throw-in-thread")).toBe("thrown fault of a test");
});

test("an epoll set that cannot be waited on any more is a failure of its sockets, and no error", async () => {
  expect(await askBroken("break-epoll", "--signal")).toBe("failure fault");
});

test("many threads in turn, well, aborted and failed, leave neither descriptors nor memory behind", async () => {
  using mute = await udpServer(() => {});
  await using server = await startServer(["--no-banner"]);
  const target = endpoint(`127.0.0.1:${server.udpPort}`);
  const visit = async (): Promise<void> => {
    expect((await ask(target)).failure).toBeNull();
    const abort = new AbortController();
    await ask(mute.endpoint, { signal: abort.signal, onEvent: () => abort.abort() });
    await ask(mute.endpoint, {}, -1).catch(() => {});
  };
  const threads = (): number => readdirSync("/proc/self/task").length;
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  for (let count = 0; count < 5; count++) await visit();
  const [threadsBefore, descriptorsBefore] = [threads(), descriptors()];
  const mappedBefore = await mappedBytes();
  for (let count = 0; count < 15; count++) await visit();
  await until("the threads have ended", () => threads() <= threadsBefore);
  await until("descriptors are given back", () => descriptors() <= descriptorsBefore);
  // What a thread's sockets map is twice as much, and more.
  expect((await mappedBytes()) - mappedBefore).toBeLessThan(3 * 15 * 48 * 1024);
});
