import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { CheckResult } from "../../src/diagnose/result.ts";
import type { TaskOptions } from "../../src/diagnose/thread.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";
import { endpoint, PATIENCE_MS, SIZE } from "../client/fixtures.ts";
import { udpServer } from "../client/servers.ts";
import { mappedBytes } from "../clients/machine.ts";
import { requireTools } from "../clients/tools.ts";
import { startServer, until } from "../harness.ts";
import { askInThread, type Told } from "./ask.ts";

await requireTools();

type Options = TaskOptions<Told>;

const QUIET: Options = { signal: new AbortController().signal, onEvent() {}, bySystemCalls: true };

function ask(
  target: Endpoint,
  options: Partial<Options> = {},
  size = SIZE,
): Promise<CheckResult | undefined> {
  return askInThread(target, { ...QUIET, ...options }, { size, timeoutMs: PATIENCE_MS });
}

for (const bySystemCalls of [true, false]) {
  describe(`a task ${bySystemCalls ? "by system calls in its thread" : "by Bun's sockets in this one"}`, () => {
    test("tells its events, then its outcome", async () => {
      await using server = await startServer();
      const told: Told[] = [];
      const onEvent = (event: Told): void => void told.push(event);
      const result = await ask(endpoint(`127.0.0.1:${server.udpPort}`), { bySystemCalls, onEvent });
      expect({ ok: result?.ok, hops: result?.hops !== null }).toEqual({ ok: true, hops: bySystemCalls });
      expect(told).toEqual([{ share: 1 }]);
    });

    test("ends when it is aborted: before it begins, and while it waits", async () => {
      using mute = await udpServer(() => {});
      const before = await ask(mute.endpoint, { bySystemCalls, signal: AbortSignal.abort() });
      expect(before?.sent ?? 0).toBe(0);
      const abort = new AbortController();
      const onEvent = (): void => abort.abort(); // it has begun
      const result = await ask(mute.endpoint, { bySystemCalls, signal: abort.signal, onEvent });
      expect(result?.notes.map(({ says }) => says)).toContain("the rest: not measured (interrupted)");
    });

    test("fails with what it throws", async () => {
      using mute = await udpServer(() => {});
      await expect(ask(mute.endpoint, { bySystemCalls }, -1)).rejects.toThrow("length");
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
  expect(await askBroken("break-epoll", "--signal")).toMatch(/^unreachable: .* \(epoll_wait\b.*\)$/);
});

test("many threads in turn, well, aborted and failed, leave neither descriptors nor memory behind", async () => {
  using mute = await udpServer(() => {});
  await using server = await startServer(["--no-banner"]);
  const target = endpoint(`127.0.0.1:${server.udpPort}`);
  const visit = async (): Promise<void> => {
    expect((await ask(target))?.ok).toBe(true);
    const abort = new AbortController();
    await ask(mute.endpoint, { signal: abort.signal, onEvent: () => abort.abort() });
    await ask(mute.endpoint, {}, -1).catch(() => {});
  };
  const threads = (): number => readdirSync("/proc/self/task").length;
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  for (let count = 0; count < 5; count++) await visit();
  const [threadsBefore, descriptorsBefore] = [threads(), descriptors()];
  const mappedBefore = mappedBytes();
  for (let count = 0; count < 15; count++) await visit();
  await until("the threads have ended", () => threads() <= threadsBefore);
  await until("descriptors are given back", () => descriptors() <= descriptorsBefore);
  // What a thread's sockets map is twice as much, and more.
  expect(mappedBytes() - mappedBefore).toBeLessThan(3 * 15 * 48 * 1024);
});
