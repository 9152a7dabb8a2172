import type { Finished, ServerProcess } from "../test/harness.ts";
import { cleanUp, startCommand } from "../test/net/check.ts";
import { destination, type Fault, iptables, together } from "../test/net/faults.ts";
import { CLIENT, Lab, SERVER1, SERVER2, VIRTUAL } from "../test/net/lab.ts";
import { DIAGNOSIS_PAGE, transcriptIn, withTranscripts } from "./transcripts.ts";

/**
 * Writes the transcripts of `watch` in docs/diagnosis.md, as `transcripts.ts` does those of `check`: Linux and root,
 * `bun scripts/watch-transcripts.ts`.
 */

const HOSTS = `${VIRTUAL.v4} echo-server\n`;

/** What a story happens to, and what begins to watch it. */
interface Watched {
  readonly lab: Lab;
  watch(): ServerProcess;
}

interface Story {
  readonly name: string;
  readonly args: readonly string[];
  /** What happens meanwhile; it ends the watch when all was said that is to be shown. */
  tell(watched: Watched): Promise<Finished>;
}

const STORIES: readonly Story[] = [
  { name: "watch-rolling-update", args: ["echo-server"], tell: rollingUpdate },
  { name: "watch-stale-entry", args: ["udp://echo-server", "--interval", "50ms"], tell: staleEntry },
];

/** Both ports of a Service with one backend. */
async function serviceOf({ router }: Lab, backend: string): Promise<Fault> {
  const rule = (protocol: "tcp" | "udp", port: number): Promise<Fault> =>
    destination(router, { protocol, address: VIRTUAL.v4, port, backends: [`${backend}:${port}`] });
  return together(await rule("tcp", 1234), await rule("udp", 5678));
}

/** Removes what conntrack remembers of the Service's UDP flows, as kube-proxy does when an endpoint goes. */
async function forgetUdp({ router }: Lab): Promise<void> {
  await router.run("conntrack", "-D", "-p", "udp", "--orig-src", CLIENT.v4);
}

/** A new backend is there, the rules move, and the old one drains. */
async function rollingUpdate({ lab, watch }: Watched): Promise<Finished> {
  await using old = await lab.server2.startServer(
    ["--tcp-port", "1234", "--banner-fields", "pod,node", "--drain-timeout", "2s"],
    { ECHO_POD_NAME: "server2-old", ECHO_NODE_NAME: "node2" },
  );
  const before = await serviceOf(lab, SERVER2.v4);
  const watching = watch();
  await hears(watching, "answered", 5);
  await Bun.sleep(2000);
  await using _after = await serviceOf(lab, SERVER1.v4);
  await before[Symbol.asyncDispose]();
  await forgetUdp(lab);
  await hears(watching, "moved", 2);
  await old.stop();
  await hears(watching, "moved", 3);
  await hears(watching, "answered", 7);
  await Bun.sleep(2000);
  return watching.stop("SIGINT");
}

/** The backend goes, the rule moves, and the entries stay until somebody removes them. */
async function staleEntry({ lab, watch }: Watched): Promise<Finished> {
  await using _old = await lab.server2.startServer(["--banner-fields", "pod,node"], {
    ECHO_POD_NAME: "server2-old",
    ECHO_NODE_NAME: "node2",
  });
  const before = await serviceOf(lab, SERVER2.v4);
  const watching = watch();
  await hears(watching, "answered", 3);
  await Bun.sleep(2000);
  await using _gone = await iptables(lab.router, `-I FORWARD -d ${SERVER2.v4} -j DROP`);
  await using _after = await serviceOf(lab, SERVER1.v4);
  await before[Symbol.asyncDispose]();
  await hears(watching, "stuck", 2);
  await Bun.sleep(1000);
  await forgetUdp(lab);
  await hears(watching, "back", 2);
  await Bun.sleep(2000);
  return watching.stop("SIGINT");
}

/** Waits until an event was said so often. @throws where the watch ends before */
async function hears(watching: ServerProcess, event: string, times: number): Promise<void> {
  const endMs = performance.now() + 30_000;
  const said = (): number => watching.stdout.split(new RegExp(`^\\S+ +\\S+ +${event} `, "m")).length - 1;
  while (said() < times) {
    if (performance.now() > endMs)
      throw new Error(`${event} was not said ${times} times:\n${watching.stdout}`);
    await Bun.sleep(10);
  }
}

/** Every transcript by its name, as it stands in the page. */
export async function makeWatchTranscripts(): Promise<ReadonlyMap<string, string>> {
  await using lab = await Lab.make();
  await lab.echo2[Symbol.asyncDispose](); // each story starts its own
  const texts = new Map<string, string>();
  for (const { name, args, tell } of STORIES) {
    const running = new AsyncDisposableStack();
    await using _running = running;
    const watch = (): ServerProcess =>
      running.use(startCommand(lab.client, ["watch", ...args], { hosts: HOSTS }));
    const { stdout, stderr } = await tell({ lab, watch });
    if (stderr !== "") throw new Error(`${name}: ${stderr}`);
    texts.set(name, `\`\`\`console\n$ echo-server watch ${args.join(" ")}\n${stdout.trimEnd()}\n\`\`\`\n`);
    await lab.router.run("conntrack", "-F");
  }
  return texts;
}

/** Every transcript that the page has, by its name. */
export function watchTranscriptsIn(page: string): ReadonlyMap<string, string> {
  return new Map(STORIES.map(({ name }) => [name, transcriptIn(page, name)]));
}

if (import.meta.main) {
  const file = Bun.file(DIAGNOSIS_PAGE);
  await file.write(withTranscripts(await file.text(), await makeWatchTranscripts()));
  cleanUp();
}
