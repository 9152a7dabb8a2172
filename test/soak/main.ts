import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { endpointOf } from "../../src/net/endpoint.ts";
import { startServer } from "../harness.ts";
import { type Tally, tcpSession, udpSession } from "./clients.ts";

/**
 * Churn, bulk, resets, half-closes, slow readers and UDP floods against one server for as long as asked, with the
 * server's collector forced to run all the time. Fails on a crash, a wrong byte, a leaked descriptor or session,
 * or memory that goes on growing. Load is bounded: a fixed number of clients, each one thing at a time.
 *
 * With `--deaths 20` the last loop is made to throw every 20 s: what it served may be reset or lose what was under
 * way, no more of it than the server says died; in the others nothing may be lost.
 *
 *     bun test/soak/main.ts --minutes 30 --engine linux --workers 2
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    engine: { type: "string", default: "linux" },
    workers: { type: "string", default: "2" },
    deaths: { type: "string", default: "0" },
  },
});
const minutes = numberOf("minutes", 0.1, 600);
const deathsEverySeconds = numberOf("deaths", 0, 3600);

function numberOf(name: "minutes" | "deaths", min: number, max: number): number {
  const value = Number(values[name]);
  if (value >= min && value <= max) return value;
  console.error(`--${name} ${values[name]} is not allowed; allowed: a number from ${min} to ${max}`);
  process.exit(2);
}

const CLIENTS = 12;
/** Memory may settle for the first quarter of the run; after that it may not grow by more than this. */
const GROWTH_MAX_MB = 16;

const flags = ["--engine", values.engine, "--workers", values.workers, "--fault-injection"];
await using server = await startServer(flags, { env: { BUN_JSC_collectContinuously: "1" } });
const { pid } = server;
const tcp = endpointOf("127.0.0.1", server.tcpPort)!;
const udp = endpointOf("127.0.0.1", server.udpPort)!;
const tally: Tally = {
  sessions: 0,
  echoedBytes: 0,
  datagrams: 0,
  lostDatagrams: 0,
  wrong: [],
  deathsMs: [],
  died: { tcp: 0, udp: 0, datagrams: 0 },
};
const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
const rssMb = async (): Promise<number> => {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024;
};
const active = async (protocol: string): Promise<number> =>
  (await server.metrics()).get("echo_sessions_active", { protocol });

const started = Date.now();
const end = started + minutes * 60_000;
const descriptorsBefore = descriptors();
let seed = 1;

async function client(number: number): Promise<void> {
  while (Date.now() < end && tally.wrong.length === 0) {
    const s = seed++;
    const kind = (number + s) % 8;
    if (kind === 0)
      await tcpSession({ target: tcp, bytes: 4_000_000, ending: "half-close", stallMs: 0 }, tally);
    else if (kind === 1)
      await tcpSession({ target: tcp, bytes: 3_000_000, ending: "reset", stallMs: 0 }, tally);
    else if (kind === 2)
      await tcpSession({ target: tcp, bytes: 8_000_000, ending: "half-close", stallMs: 200 }, tally);
    else if (kind === 3) await udpSession(udp, 640, 32, tally);
    else if (kind === 4) await udpSession(udp, 64, 1, tally);
    else
      for (let n = 0; n < 50; n++)
        await tcpSession(
          {
            target: tcp,
            bytes: 1 + ((s * 31 + n * 997) % 9000),
            ending: n % 3 === 0 ? "reset" : n % 3 === 1 ? "close" : "half-close",
            stallMs: 0,
          },
          tally,
        );
  }
}

async function kill(): Promise<void> {
  const everyMs = deathsEverySeconds * 1000;
  while (everyMs > 0 && Date.now() + everyMs < end && tally.wrong.length === 0) {
    await Bun.sleep(everyMs);
    tally.deathsMs.push(performance.now());
    server.kill("SIGUSR2");
  }
}

async function watch(): Promise<number> {
  let settled = 0;
  while (Date.now() < end && tally.wrong.length === 0) {
    await Bun.sleep(Math.min(10_000, Math.max(100, end - Date.now())));
    const mb = await rssMb();
    if (settled === 0 && Date.now() - started > (end - started) / 4) settled = mb;
    const age = ((Date.now() - started) / 60_000).toFixed(1);
    console.log(
      `${age} min: ${tally.sessions} sessions, ${(tally.echoedBytes / 1e9).toFixed(2)} GB and ${tally.datagrams} datagrams echoed, ` +
        `${tally.lostDatagrams} lost, ${tally.wrong.length} wrong, RSS ${mb.toFixed(1)} MB, ${descriptors()} descriptors` +
        (tally.deathsMs.length === 0
          ? ""
          : `, ${tally.deathsMs.length} deaths: ${tally.died.tcp} TCP and ${tally.died.udp} UDP sessions, ${tally.died.datagrams} datagrams`),
    );
  }
  return settled;
}

const [settledMb] = await Promise.all([
  watch(),
  kill(),
  ...Array.from({ length: CLIENTS }, (_, n) => client(n)),
]);
for (const patience = Date.now() + 10_000; (await active("tcp")) > 0 && Date.now() < patience; )
  await Bun.sleep(100);

const failures = [...tally.wrong];
const grownMb = (await rssMb()) - settledMb;
if (grownMb > GROWTH_MAX_MB) failures.push(`memory grew by ${grownMb.toFixed(1)} MB after the first quarter`);
if ((await active("tcp")) !== 0) failures.push(`${await active("tcp")} TCP sessions left over`);
const left = descriptors() - descriptorsBefore;
if (left > 4) failures.push(`${left} descriptors more than at the start`);
const metrics = await server.metrics();
const restarts = metrics.get("echo_worker_restarts_total");
const deaths = tally.deathsMs.length;
if (restarts !== deaths) failures.push(`${restarts} loops died, ${deaths} were made to`);
for (const protocol of ["tcp", "udp"] as const) {
  const died = metrics.get("echo_closed_total", { protocol, reason: "worker_died" });
  if (tally.died[protocol] > died)
    failures.push(
      `${tally.died[protocol]} ${protocol} sessions failed at deaths, of which the server counts ${died}`,
    );
}
if (deathsEverySeconds > 0 && tally.lostDatagrams > 0)
  failures.push(`${tally.lostDatagrams} datagrams lost without a death`);
const { exitCode } = await server.stop();
if (exitCode !== 0) failures.push(`exit code ${exitCode}`);
console.log(failures.length === 0 ? "soak passed" : `soak FAILED\n${failures.slice(0, 20).join("\n")}`);
process.exit(failures.length === 0 ? 0 : 1);
