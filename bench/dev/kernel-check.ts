/**
 * Whether the bench counts what the kernel counts. In a network namespace of its own nobody else sends anything, so
 * the kernel's counters are those of the run, its server's side included.
 *
 *     bun bench/dev/kernel-check.ts          as root, or where user namespaces are allowed; prints a line for each
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startOurServer } from "../run/server.ts";
import type { CellResult } from "../run/types.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const INSIDE = "inside";

/** A packet that was sent again, because this process had no core, is counted twice by the kernel: then once more. */
const TRIES = 5;

/** What was counted in one run: datagrams that arrived, or bytes of TCP payload, in both directions. */
export interface Agreement {
  readonly what: string;
  readonly bench: number;
  readonly kernel: number;
}

const RUNS: readonly (readonly string[])[] = [
  ["--scenario", "tcp-ping", "-c", "20"],
  ["--scenario", "tcp-pipeline", "-c", "3"],
  ["--scenario", "tcp-bulk", "-c", "5", "--size", "16KiB"],
  ["--scenario", "tcp-ping", "-c", "2", "-R", "2k"],
  ["--scenario", "udp-ping", "-c", "20", "--size", "64"],
  ["--scenario", "udp-window", "-c", "5", "--size", "1400"],
  ["--scenario", "udp-ping", "-c", "2", "--size", "64", "-R", "2k"],
];

/** Headers of an IPv4 segment with timestamps, and what a SYN has more (RFC 7323; Linux on loopback). */
const SEGMENT_HEADER_BYTES = 20 + 32;
const SYN_EXTRA_BYTES = 8;
/** What the bench says before a run, to see whether a banner comes. */
const PROBE_BYTES = 8;

type Counters = ReadonlyMap<string, number>;

function readCounters(): Counters {
  const counters = new Map<string, number>();
  for (const file of ["snmp", "netstat"]) {
    const lines = readFileSync(`/proc/net/${file}`, "utf8").trim().split("\n");
    for (let at = 0; at < lines.length; at += 2) {
      const [names, values] = [lines[at]!.split(" "), lines[at + 1]!.split(" ")];
      for (const [column, name] of names.entries())
        counters.set(`${names[0]!.slice(0, -1)}.${name}`, Number(values[column]));
    }
  }
  return counters;
}

/** One run, as the bench counts it and as the kernel does; null where packets were sent again. */
async function compareRun(args: readonly string[], target: string): Promise<Agreement | null> {
  const before = readCounters();
  const command = [process.execPath, MAIN, "--target", target, ...args, "-d", "300ms", "--json"];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const { results } = JSON.parse(await child.stdout.text()) as { results: CellResult[] };
  const after = readCounters();
  const grown = (name: string): number => after.get(name)! - before.get(name)!;
  const { sent, sessions, cell, lost } = results[0]!;
  const what = args.slice(1).join(" ");
  if (cell.protocol === "udp") {
    // Each datagram arrives twice, and so do the one of the probe and the one with which each session begins.
    const bench = 2 * (sent + sessions + 1) - lost;
    const kernel = grown("Udp.InDatagrams");
    return kernel !== bench && kernel - bench < 20 ? null : { what, bench, kernel }; // the probe was sent again
  }
  if (grown("Tcp.RetransSegs") > 0) return null;
  const opened = grown("Tcp.ActiveOpens") + grown("Tcp.PassiveOpens");
  const headers = SEGMENT_HEADER_BYTES * grown("Ip.OutRequests") + SYN_EXTRA_BYTES * opened;
  return { what, bench: 2 * (sent * cell.size + PROBE_BYTES), kernel: grown("IpExt.OutOctets") - headers };
}

async function compareAll(): Promise<void> {
  await using server = await startOurServer(["--no-banner", "--host", "127.0.0.1"]);
  const at = ({ host, port }: { host: string; port: number }): string => `${host}:${port}`;
  for (const args of RUNS) {
    const target = args[1]!.startsWith("tcp") ? server.target.tcp : server.target.udp;
    let found: Agreement | null = null;
    for (let left = TRIES; left > 0 && found === null; left--) found = await compareRun(args, at(target!));
    console.log(JSON.stringify(found ?? { what: args.join(" "), bench: -1, kernel: -1 }));
  }
}

/** Runs the comparison in a network namespace of its own. @throws with what was said where there can be none */
export async function kernelAgreements(): Promise<Agreement[]> {
  const own = process.getuid?.() === 0 ? ["unshare", "--net"] : ["unshare", "--net", "--map-root-user"];
  // No segment is sent again merely because this machine is busy (tail loss probes, and a timeout of 200 ms).
  const patient = "echo 0 >early_retrans; echo 10000000 >rto_min_us";
  const settings = patient.replaceAll(">", ">/proc/sys/net/ipv4/tcp_");
  const script = `ip link set lo up; { ${settings}; } 2>/dev/null; exec "$@"`;
  const command = [...own, "sh", "-c", script, "sh", process.execPath, import.meta.path, INSIDE];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(stderr);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Agreement);
}

if (import.meta.main) {
  if (process.argv[2] === INSIDE) await compareAll();
  else
    for (const { what, bench, kernel } of await kernelAgreements())
      console.log(`${what}: ${bench}, ${kernel}`);
  process.exit(0);
}
