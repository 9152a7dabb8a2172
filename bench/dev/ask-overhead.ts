/**
 * What a client of ours adds to the round trips that it measures: UDP echoes of 64 bytes over loopback, one under way,
 * asked as `check` asks them and by a client in C (`ask.c`) that does the same with the same stamps of the kernel. The
 * server is pinned to core 0, both clients to core 1; they take turns (A B A B ...), so that drift meets both.
 *
 *     bun bench/dev/ask-overhead.ts [rounds] [echoes of a round] [pause in us]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sleep } from "../../src/client/deadlines.ts";
import { Failure } from "../../src/client/failure.ts";
import { FlowMessages } from "../../src/client/flow-messages.ts";
import { closeLinuxSockets, linuxSockets } from "../../src/client/linux/sockets.ts";
import { newRun } from "../../src/client/payload.ts";
import { UdpFlow } from "../../src/client/udp-flow.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";

const SERVER_CORE = "0";
const CLIENT_CORE = "1";
const SIZE = 64;
const TIMEOUT_MS = 1000;

class Child implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor(core: string, command: readonly string[]) {
    this.#process = Bun.spawn(["taskset", "-c", core, ...command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#lines = lines(this.#process.stdout);
  }

  /** Says a line, and hears a number. */
  async ask(line: string): Promise<number> {
    this.#process.stdin.write(`${line}\n`);
    this.#process.stdin.flush();
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a process ended early");
    return Number(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let partial = "";
  for await (const chunk of stream) {
    const parts = (partial + decoder.decode(chunk, { stream: true })).split("\n");
    partial = parts.pop()!;
    yield* parts;
  }
}

/** Our client, told the same by stdin as the one in C: prints the median round trip of each round, in ns. */
async function askAsOurs(port: string): Promise<void> {
  const sockets = linuxSockets();
  if (sockets === null) throw new Error("there are no system calls here");
  const target = parseEndpoint(`127.0.0.1:${port}`)!;
  const flow = await UdpFlow.open(target, { open: sockets.openUdp });
  if (flow instanceof Failure) throw new Error(`${flow}`);
  const key = { run: newRun(), flow: 0 };
  const messages = new FlowMessages(key, SIZE, TIMEOUT_MS);
  for await (const line of console) {
    const [count, pauseMicros] = line.split(" ").map(Number) as [number, number];
    messages.roundTrips.clear();
    for (let asked = 0; asked < count; asked++) {
      const notSent = flow.send(messages.next(performance.now()));
      const came = notSent ?? (await flow.receive(TIMEOUT_MS));
      if (came instanceof Failure) throw new Error(`${came}`);
      messages.take(came.bytes, came.atMs);
      if (pauseMicros > 0) await sleep(pauseMicros / 1000);
    }
    console.log(Math.round(messages.roundTrips.quantile(0.5)! * 1e6));
  }
  closeLinuxSockets();
}

async function compile(source: string, program: string): Promise<void> {
  const file = fileURLToPath(new URL(source, import.meta.url));
  await Bun.$`cc -O2 -o ${program} ${file}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function compare(rounds: number, count: number, pauseMicros: number): Promise<void> {
  const directory = mkdtempSync("/tmp/ask-overhead-");
  try {
    const [server, client] = [join(directory, "echo"), join(directory, "ask")];
    await compile("../peers/c/echo.c", server);
    await compile("./ask.c", client);
    const { port } = await freePort();
    await using _ = new Child(SERVER_CORE, [server, "udp", String(port)]);
    await using c = new Child(CLIENT_CORE, [client, String(port)]);
    await using ours = new Child(CLIENT_CORE, [process.execPath, import.meta.path, "ours", String(port)]);
    const round = `${count} ${pauseMicros}`;
    await Bun.sleep(200); // until the server is bound
    await ours.ask(`${10 * count} 0`); // until all is compiled
    const seen: { readonly c: number; readonly ours: number }[] = [];
    for (let at = 0; at < rounds; at++) {
      seen.push({ c: await c.ask(round), ours: await ours.ask(round) });
      process.stderr.write(`C ${seen.at(-1)!.c} ns, ours ${seen.at(-1)!.ours} ns\n`);
    }
    const [ofC, ofOurs] = [median(seen.map((each) => each.c)), median(seen.map((each) => each.ours))];
    const ratio = median(seen.map((each) => each.ours / each.c));
    console.log(`round trip p50: C ${ofC} ns, ours ${ofOurs} ns, ratio ${ratio.toFixed(3)}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function freePort(): Promise<{ readonly port: number }> {
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port } = socket;
  socket.close();
  return { port };
}

const [first, ...rest] = process.argv.slice(2);
if (first === "ours") await askAsOurs(rest[0]!);
else await compare(Number(first ?? 15), Number(rest[0] ?? 5000), Number(rest[1] ?? 0));
