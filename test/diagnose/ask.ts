import type { CheckInput } from "../../src/diagnose/check/task.ts";
import type { CheckResult } from "../../src/diagnose/result.ts";
import type { TaskOptions } from "../../src/diagnose/thread.ts";
import { runTask } from "../../src/diagnose/thread.ts";
import type { Endpoint } from "../../src/net/endpoint.ts";

/** What a task in a thread tells while it goes on. */
export type Told = { readonly share: number };

/** The smallest task there is: a check of one flow with one datagram. Its first event comes when that has been sent. */
export async function askInThread(
  target: Endpoint,
  options: TaskOptions<Told>,
  { size = 64, timeoutMs }: { readonly size?: number; readonly timeoutMs: number },
): Promise<CheckResult | undefined> {
  const input: CheckInput = {
    asked: [{ target: "", protocol: "udp", name: "", endpoint: target, resolveMs: null }],
    settings: { flows: 1, count: 1, size, intervalMs: 10, timeoutMs, bulkBytes: 0, mtu: false, source: {} },
  };
  return (await runTask("check", input, options))[0];
}
