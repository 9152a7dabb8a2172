/**
 * What the rules cost on Bun's sockets: server CPU per message of the portable engine with everything on, over a
 * bare but correct echo on the same sockets. Both run at once, each pinned to core 0, and are loaded in turn from
 * core 1 (A B A B ...), so that drift of the machine meets both.
 *
 *     bun bench/dev/overhead.ts [rounds] [milliseconds per round] [name of a shape]
 */
import { load } from "./load.ts";
import { serveBare, serveOurs } from "./servers.ts";

const SHAPES = [
  { name: "tcp-64B-50", protocol: "tcp", clients: 50, size: 64 },
  { name: "tcp-64B-1000", protocol: "tcp", clients: 1000, size: 64 },
  { name: "tcp-16KiB-50", protocol: "tcp", clients: 50, size: 16384 },
  { name: "tcp-64KiB-50", protocol: "tcp", clients: 50, size: 65536 },
  { name: "udp-64B-50", protocol: "udp", clients: 50, size: 64 },
  { name: "udp-1400B-50", protocol: "udp", clients: 50, size: 1400 },
] as const;

type Shape = (typeof SHAPES)[number];

const SERVER_CORE = 0;
const LOAD_CORE = 1;

class Child {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor(core: number, role: readonly string[]) {
    const command = ["taskset", "-c", String(core), process.execPath, import.meta.path, ...role];
    this.#process = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = lines(this.#process.stdout);
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a process ended early");
    return value;
  }

  say(line: string): void {
    this.#process.stdin.write(`${line}\n`);
    this.#process.stdin.flush();
  }

  /** CPU time of all its threads, in ns. */
  async cpuNs(): Promise<number> {
    const glob = new Bun.Glob("*/schedstat");
    let sum = 0;
    for await (const file of glob.scan(`/proc/${this.#process.pid}/task`)) {
      const text = await Bun.file(`/proc/${this.#process.pid}/task/${file}`).text();
      sum += Number(text.split(" ")[0]);
    }
    return sum;
  }

  async end(): Promise<void> {
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

/** One server under one shape of load, from fresh processes: server CPU per message, in ns. */
async function measure(role: string, shape: Shape, milliseconds: number): Promise<number> {
  const server = new Child(SERVER_CORE, [role]);
  const [tcpPort, udpPort] = (await server.line()).split(" ");
  const port = shape.protocol === "tcp" ? tcpPort! : udpPort!;
  const client = new Child(LOAD_CORE, [
    "load",
    shape.protocol,
    port,
    String(shape.clients),
    String(shape.size),
  ]);
  await client.line();
  client.say(String(Math.max(500, milliseconds / 4))); // until everything is compiled
  await client.line();
  const before = await server.cpuNs();
  client.say(String(milliseconds));
  const echoed = Number(await client.line());
  const cpu = (await server.cpuNs()) - before;
  await client.end();
  await server.end();
  return cpu / echoed;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function compare(rounds: number, milliseconds: number, only: string | undefined): Promise<void> {
  for (const shape of SHAPES.filter(({ name }) => only === undefined || name === only)) {
    const bare: number[] = [];
    const ours: number[] = [];
    for (let round = 0; round < rounds; round++) {
      bare.push(await measure("bare", shape, milliseconds));
      ours.push(await measure("ours", shape, milliseconds));
      process.stderr.write(`${shape.name} ${Math.round(bare.at(-1)!)} ${Math.round(ours.at(-1)!)}\n`);
    }
    const ratio = median(ours) / median(bare);
    console.log(
      `${shape.name}: bare ${Math.round(median(bare))} ns, ours ${Math.round(median(ours))} ns, ratio ${ratio.toFixed(3)}`,
    );
  }
}

const [role, ...rest] = process.argv.slice(2);
if (role === "bare") await serveBare();
else if (role === "ours") await serveOurs();
else if (role === "load") await load(rest[0]!, Number(rest[1]), Number(rest[2]), Number(rest[3]));
else await compare(Number(role ?? 6), Number(rest[0] ?? 2000), rest[1]);
