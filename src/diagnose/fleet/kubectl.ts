import { StartError } from "../../errors.ts";

/** Which cluster, by which program. */
export interface KubectlSettings {
  /** A name that PATH finds, or a path. */
  readonly program: string;
  /** Of the kubeconfig; null for the current one. */
  readonly context: string | null;
}

/** How a kubectl ended. */
export interface KubectlEnd {
  readonly stdout: string;
  readonly stderr: string;
  /** Null where it was killed: too late, or nobody wants it any more. */
  readonly exitCode: number | null;
}

/** The machine's own kubectl, with the rights and the cluster of the person who asks. */
export class Kubectl {
  readonly #settings: KubectlSettings;
  readonly #signal: AbortSignal;

  /** @param signal ends every kubectl that runs */
  constructor(settings: KubectlSettings, signal: AbortSignal) {
    this.#settings = settings;
    this.#signal = signal;
  }

  /** How a person writes it, to ask the same cluster: `kubectl --context=prod`. */
  get command(): string {
    const { program, context } = this.#settings;
    return [program, ...(context === null ? [] : [`--context=${context}`])].map(shellWord).join(" ");
  }

  /**
   * Runs it to its end, and no longer than that: to a kubelet that is gone it would wait for minutes.
   * @throws StartError where there is no such program
   */
  async run(args: readonly string[], timeoutMs: number): Promise<KubectlEnd> {
    const { context } = this.#settings;
    const child = this.#spawn([...(context === null ? [] : [`--context=${context}`]), ...args]);
    const { promise: cut, resolve } = Promise.withResolvers<null>();
    const end = (): void => resolve(null);
    const timer = setTimeout(end, timeoutMs);
    this.#signal.addEventListener("abort", end);
    if (this.#signal.aborted) end();
    let isOver = false;
    const told = new Told(child.stderr);
    try {
      const all = Promise.all([new Response(child.stdout).text(), told.all(), child.exited]);
      // What it started may hold its pipes open after it was killed: those are not waited for.
      const ended = await Promise.race([all, cut]);
      if (ended === null) return { stdout: "", stderr: told.soFar, exitCode: null };
      isOver = true;
      const [stdout, stderr, exitCode] = ended;
      return { stdout, stderr, exitCode };
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", end);
      if (!isOver) killGroup(child);
    }
  }

  #spawn(args: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    const { program } = this.#settings;
    try {
      return Bun.spawn([program, ...args], {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        // A group of its own: a kubectl may be a script, and what that started has to end with it (`killGroup`).
        detached: true,
      });
    } catch (error) {
      const why = error instanceof Error && "code" in error ? ` (${error.code})` : "";
      throw new StartError(
        `${program} cannot be run${why}: fleet asks the cluster by the kubectl of this machine; --kubectl names another`,
      );
    }
  }
}

/** What comes by a pipe, as far as it has come: whoever is asked for a password or a code waits, and says so there. */
class Told {
  readonly #from: ReadableStream<Uint8Array>;
  soFar = "";

  constructor(from: ReadableStream<Uint8Array>) {
    this.#from = from;
  }

  /** All of it, at its end. */
  async all(): Promise<string> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#from) this.soFar += decoder.decode(bytes, { stream: true });
    return this.soFar;
  }
}

/** Ends it and what it started. */
function killGroup(child: Bun.Subprocess): void {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // the group has ended meanwhile, or never was one
  }
}

/** A word as a shell takes it for one; nothing that could be taken for more is left as it is. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** How kubectl begins the line that tells why; advice may follow it. */
const COMPLAINS =
  /^(?:error: |error from server|unable to connect to the server|the connection to the server)/i;

/** How its libraries log: `E1126 05:00:00.0 1 memcache.go:265] ...`. */
const LOGGED = /^[EWIF]\d{4} .*?\] /;

/**
 * The line of what kubectl said that tells why: the last that says so, or else the last that is no warning, no log and no
 * echo of an exit code.
 */
export function complaintOf({ stderr, exitCode }: KubectlEnd): string {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(?:warning|command terminated|defaulted container)/i.test(line));
  const own = lines.filter((line) => !LOGGED.test(line));
  const said = own.findLast((line) => COMPLAINS.test(line)) ?? own.at(-1);
  const complaint = said?.replace(/^(?:error: |error from server(?: \(\w+\))?: )/i, "").replace(/\.$/, "");
  if (exitCode === null)
    return complaint === undefined ? "no answer in time" : `no answer in time: ${complaint}`;
  return complaint ?? lines.at(-1)?.replace(LOGGED, "") ?? `exit code ${exitCode}`;
}
