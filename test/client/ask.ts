import { closeSync, openSync } from "node:fs";
import { dialByBun } from "../../src/client/bun/dial.ts";
import { Failure } from "../../src/client/failure.ts";
import { TcpSession } from "../../src/client/tcp-session.ts";
import { UdpFlow, wayTo } from "../../src/client/udp-flow.ts";
import { endpoint } from "./fixtures.ts";

/**
 * Asks from inside a process of its own, whose network or limits are not the test's, and prints what became of each
 * as JSON: a failure's code, or "well". To a target that ends in `/bun` Bun connects alone. It ends when nothing of what
 * it did is left, and not before; with `--leave` at once.
 *
 *     ask.ts [--full] [--hold] [--leave] [--timeout MS] tcp://10.0.0.1:7 tcp://10.0.0.1:7/bun udp://10.0.0.1:7 way://10.0.0.1:7
 */
const args = process.argv.slice(2);
const has = (flag: string): boolean => args.includes(flag);
const timeoutMs = has("--timeout") ? Number(args[args.indexOf("--timeout") + 1]) : 600_000;
const held: AsyncDisposable[] = [];

async function askTcp(text: string, byBun: boolean): Promise<string> {
  const session = await TcpSession.open(endpoint(text), {
    connectTimeoutMs: timeoutMs,
    ...(byBun ? { dial: dialByBun } : {}),
  });
  if (session instanceof Failure) return session.code;
  held.push(session);
  return "well";
}

async function askUdp(text: string, connected: boolean): Promise<string> {
  const flow = await UdpFlow.open(endpoint(text), { connected });
  if (flow instanceof Failure) return flow.code;
  held.push(flow);
  const failure = flow.send(Uint8Array.of(0xff)) ?? (await flow.receive(timeoutMs));
  return failure instanceof Failure ? failure.code : "well";
}

async function ask(target: string): Promise<string> {
  const [, protocol, text, how] = /^(\w+):\/\/([^/]+)(\/\w+)?$/.exec(target)!;
  if (protocol === "tcp") return askTcp(text!, how === "/bun");
  if (protocol === "udp") return askUdp(text!, how === "/connected");
  const way = await wayTo(endpoint(text!));
  return way instanceof Failure ? way.code : "well";
}

/** Takes all descriptors that this process may have. */
function takeAllDescriptors(): number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    return taken; // EMFILE: there are no more
  }
}

const targets = args.filter((arg) => arg.includes("://"));
const taken = has("--full") ? takeAllDescriptors() : [];
const said: string[] = [];
for (const target of targets) {
  said.push(await ask(target));
  if (has("--hold")) continue;
  for (const each of held.splice(0)) await each[Symbol.asyncDispose]();
}
for (const each of held) await each[Symbol.asyncDispose]();
for (const fd of taken) closeSync(fd);
process.stdout.write(JSON.stringify(said));
if (has("--leave")) process.exit(0);
