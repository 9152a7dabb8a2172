import { linuxSockets } from "../../src/client/linux/sockets.ts";
import { probeMtu } from "../../src/diagnose/check/mtu.ts";
import { parseEndpoint } from "../../src/net/endpoint.ts";

/** What `check --mtu` finds of sizes, as a process for another network namespace: `mtu-ask.ts ADDRESS:PORT` prints it as JSON. */

const [target] = process.argv.slice(2);
const settings = {
  flows: 1,
  count: 1,
  size: 64,
  intervalMs: 10,
  timeoutMs: 2000,
  bulkBytes: 0,
  mtu: true,
  source: {},
};
const shares: number[] = [];
const findings = await probeMtu(
  { target: target!, protocol: "udp", name: target!, endpoint: parseEndpoint(target!)!, resolveMs: null },
  {
    settings,
    sockets: linuxSockets()!,
    signal: new AbortController().signal,
    progress: (share) => void shares.push(share),
  },
);
console.log(JSON.stringify({ ...findings, shares }));
process.exit(0);
