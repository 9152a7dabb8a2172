import { mkdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { fileURLToPath } from "node:url";

/** The servers that ours is compared with: how each is built, and by which command it serves. */

export type Protocol = "tcp" | "udp";

/** The command that serves one protocol on a port. */
export type ServeCommand = (protocol: Protocol, port: number) => string[];

export interface Peer {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  /** A process for each connection: not asked for hundreds of them. */
  readonly forks?: true;
  /** It compiles what it runs often: so many milliseconds of load before it is measured, to be fair. */
  readonly warmupMs?: number;
  /** Builds it if it must be built. Throws an error that says what is absent. */
  prepare(): Promise<ServeCommand>;
}

const SOURCES = fileURLToPath(new URL("./peers/", import.meta.url));
const BOTH: readonly Protocol[] = ["tcp", "udp"];

/** The floor: every ratio is against this one. */
export const FLOOR = "C epoll";

export const PEERS: readonly Peer[] = [
  {
    name: FLOOR,
    protocols: BOTH,
    async prepare() {
      const binary = await built("c", ["cc"], (from, to) => [
        ["cc", "-O2", "-o", `${to}/echo`, `${from}/echo.c`],
      ]);
      return (protocol, port) => [`${binary}/echo`, protocol, String(port)];
    },
  },
  {
    name: "Go net",
    protocols: BOTH,
    async prepare() {
      const binary = await built("go", ["go"], (from, to) => [
        ["go", "build", "-C", from, "-o", `${to}/echo`, "."],
      ]);
      return (protocol, port) => [`${binary}/echo`, protocol, String(port)];
    },
  },
  ...(["current", "multi"] as const).map(
    (runtime): Peer => ({
      name: `tokio ${runtime}`,
      protocols: BOTH,
      async prepare() {
        const folder = await built("tokio", ["cargo"], (from, to) => [
          ["cp", "-r", `${from}/.`, to],
          ["cargo", "build", "--quiet", "--release", "--manifest-path", `${to}/Cargo.toml`],
        ]);
        return (protocol, port) => [`${folder}/target/release/echo`, protocol, String(port), runtime];
      },
    }),
  ),
  {
    name: "Netty epoll",
    protocols: BOTH,
    warmupMs: 4000,
    async prepare() {
      const folder = await built("netty", ["java", "javac", "mvn"], (from, to) => [
        ["cp", "-r", `${from}/.`, to],
        ["mvn", "-q", "-B", "-f", `${to}/pom.xml`, "compile", "dependency:copy-dependencies"],
      ]);
      const classes = `${folder}/target/classes:${folder}/target/dependency/*`;
      return (protocol, port) => ["java", "-cp", classes, "Echo", protocol, String(port)];
    },
  },
  {
    name: "Node",
    protocols: BOTH,
    warmupMs: 2000,
    async prepare() {
      needs("node");
      return (protocol, port) => ["node", `${SOURCES}node/echo.cjs`, protocol, String(port)];
    },
  },
  {
    name: "socat",
    protocols: BOTH,
    forks: true,
    async prepare() {
      needs("socat");
      const listen: Record<Protocol, (port: number) => string> = {
        tcp: (port) => `TCP-LISTEN:${port},reuseaddr,fork,backlog=4096,nodelay`,
        udp: (port) => `UDP-LISTEN:${port},reuseaddr,fork`,
      };
      return (protocol, port) => ["socat", listen[protocol](port), "PIPE"];
    },
  },
  {
    name: "ncat",
    protocols: BOTH,
    forks: true,
    async prepare() {
      needs("ncat");
      return (protocol, port) => [
        "ncat",
        ...(protocol === "udp" ? ["--udp"] : []),
        ...[
          "--listen",
          "--keep-open",
          "--max-conns",
          "1000",
          "--exec",
          Bun.which("cat") ?? "/bin/cat",
          String(port),
        ],
      ];
    },
  },
];

/** A peer from the command line: `{tcp}` and `{udp}` become ports; the one not asked for becomes 0. */
export function peerFromCommand(command: string): Peer {
  const protocols = BOTH.filter((protocol) => command.includes(`{${protocol}}`));
  return {
    name: command.split(" ")[0]!.split("/").at(-1)!,
    protocols,
    async prepare() {
      needs(command.split(" ")[0]!);
      return (protocol, port) => {
        const portOf = (of: Protocol): string => String(of === protocol ? port : 0);
        return command
          .split(" ")
          .map((word) => word.replaceAll("{tcp}", portOf("tcp")).replaceAll("{udp}", portOf("udp")));
      };
    },
  };
}

function needs(...programs: string[]): void {
  const absent = programs.filter((program) => Bun.which(program) === null);
  if (absent.length > 0) throw new Error(`${absent.join(", ")} not on this machine`);
}

/** Builds a peer once: the folder of what was built, kept in the user's cache under the digest of its sources. */
async function built(
  name: string,
  programs: string[],
  commands: (from: string, to: string) => string[][],
): Promise<string> {
  needs(...programs);
  const from = `${SOURCES}${name}`;
  const cache = `${process.env["XDG_CACHE_HOME"] ?? `${homedir()}/.cache`}/echo-server/peers`;
  const folder = `${cache}/${name}-${await digest(from)}`;
  if (await Bun.file(`${folder}/built`).exists()) return folder;
  const scratch = `${folder}-${process.pid}`; // two at once build two, and the move is whole
  await mkdir(scratch, { recursive: true });
  for (const command of commands(from, scratch)) {
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0)
      throw new Error(`${name} could not be built: ${said.trim().split("\n").at(-1)}`);
  }
  await Bun.write(`${scratch}/built`, "");
  await rm(folder, { recursive: true, force: true });
  await rename(scratch, folder).catch(() => {});
  return folder;
}

async function digest(folder: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const files = [...new Bun.Glob("**/*").scanSync({ cwd: folder })]
    .filter((file) => !file.includes("target/"))
    .sort();
  for (const file of files) hash.update(file).update(await Bun.file(`${folder}/${file}`).bytes());
  return hash.digest("hex").slice(0, 12);
}
