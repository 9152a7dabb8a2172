import { fileURLToPath } from "node:url";
import { checkText, cleanUp } from "../test/net/check.ts";
import { type Fault, forgetFlows, iptables, noIcmp, route, service, together } from "../test/net/faults.ts";
import { Lab, SERVER1, SERVER2, VIRTUAL } from "../test/net/lab.ts";

/**
 * Writes the transcripts of docs/diagnosis.md, each between two marks: the command as a person runs it, in a network that
 * is made for it, and all that it says. Linux and root: `bun scripts/transcripts.ts`.
 */

export const DIAGNOSIS_PAGE = fileURLToPath(new URL("../docs/diagnosis.md", import.meta.url));

interface Transcript {
  readonly name: string;
  readonly args: readonly string[];
  /** What is wrong, or in between, as long as it runs. */
  make(lab: Lab): Promise<Fault>;
}

/** What resolves there, as in a cluster: two servers, and a Service. */
const HOSTS = `${SERVER1.v4} server1.headless\n${SERVER2.v4} server2.headless\n${VIRTUAL.v4} echo-server\n`;

const TRANSCRIPTS: readonly Transcript[] = [
  { name: "all-well", args: ["server1.headless"], make: async () => together() },
  { name: "service", args: ["echo-server"], make: ({ router }) => serviceOf(router, SERVER1.v4, SERVER2.v4) },
  {
    name: "mtu-black-hole",
    args: ["udp://server1.headless", "--mtu"],
    make: async ({ router }) =>
      together(await route(router, `${SERVER1.v4} dev toserver1 mtu 1400`), await noIcmp(router)),
  },
  {
    name: "stale-backend",
    args: ["udp://echo-server"],
    make: async ({ router, server1 }) =>
      together(
        await iptables(server1, `-A INPUT -d ${SERVER1.otherV4} -j DROP`), // a Pod that is gone, and nobody says so
        await serviceOf(router, SERVER1.otherV4, SERVER2.v4),
      ),
  },
  { name: "refused", args: [`${SERVER2.v4}:4321`], make: async () => together() },
];

/** Both ports of a Service, each with two servers behind it in turn. */
async function serviceOf(router: Lab["router"], first: string, second: string): Promise<Fault> {
  const rule = (protocol: "tcp" | "udp", port: number): Promise<Fault> => {
    const backends = [`${first}:${port}`, `${second}:${port}`];
    return service(router, { protocol, address: VIRTUAL.v4, port, backends });
  };
  return together(await rule("tcp", 1234), await rule("udp", 5678));
}

/** Every transcript by its name, as it stands in the page. */
export async function makeTranscripts(): Promise<ReadonlyMap<string, string>> {
  await using lab = await Lab.make();
  // Both servers say where they stand, as in a fleet with `ECHO_BANNER_FIELDS=pod,node`.
  await lab.echo2[Symbol.asyncDispose]();
  const fields = ["--tcp-port", "1234", "--banner-fields", "pod,node"];
  await using _second = await lab.server2.startServer(fields, {
    ECHO_POD_NAME: "server2-def",
    ECHO_NODE_NAME: "node2",
  });
  const texts = new Map<string, string>();
  for (const { name, args, make } of TRANSCRIPTS) {
    await using _fault = await make(lab);
    const { stdout, stderr } = await checkText(lab.client, args, { hosts: HOSTS });
    if (stderr !== "") throw new Error(`${name}: ${stderr}`);
    texts.set(name, `\`\`\`console\n$ echo-server check ${args.join(" ")}\n${stdout.trimEnd()}\n\`\`\`\n`);
    await forgetFlows(lab.router);
  }
  return texts;
}

/** The page with each transcript in its place. @throws when a mark is not there */
export function withTranscripts(page: string, texts: ReadonlyMap<string, string>): string {
  return [...texts].reduce((text, [name, transcript]) => {
    const { start, end } = placeOf(text, name);
    return text.slice(0, start) + transcript + text.slice(end);
  }, page);
}

/** Every transcript that the page has, by its name. */
export function transcriptsIn(page: string): ReadonlyMap<string, string> {
  return new Map(TRANSCRIPTS.map(({ name }) => [name, transcriptIn(page, name)]));
}

/** @throws when its marks are not there */
export function transcriptIn(page: string, name: string): string {
  const { start, end } = placeOf(page, name);
  return page.slice(start, end);
}

function placeOf(page: string, name: string): { start: number; end: number } {
  const mark = `<!-- ${name}: made by scripts/transcripts.ts -->\n`;
  const start = page.indexOf(mark);
  const end = page.indexOf(`<!-- ${name} end -->`);
  if (start === -1 || end < start) throw new Error(`docs/diagnosis.md lacks the marks of ${name}`);
  return { start: start + mark.length, end };
}

if (import.meta.main) {
  const file = Bun.file(DIAGNOSIS_PAGE);
  await file.write(withTranscripts(await file.text(), await makeTranscripts()));
  cleanUp();
}
