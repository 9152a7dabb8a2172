/** Programs run for their output, and time spent waiting for what they show. */

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** Exit codes that are not an error; 0 by default. */
  readonly allowed?: readonly number[];
}

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Runs a program to its end. @throws with all that it wrote when its exit code is not an allowed one */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Output> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.env },
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (!(options.allowed ?? [0]).includes(exitCode)) {
    throw new Error(`${command.join(" ")}: exit ${exitCode}\n${stdout}${stderr}`);
  }
  return { stdout, stderr, exitCode };
}

/** A line on what is going on, for whoever watches a run of some minutes. */
export function say(text: string): void {
  console.log(`e2e: ${text}`);
}

export class Stopwatch {
  readonly #startMs = performance.now();

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }

  /** `1.4 s` */
  toString(): string {
    return `${this.seconds.toFixed(1)} s`;
  }
}

/**
 * Asks again until `ask` gives something other than null and does not throw.
 * @throws with `what` and the last error when that takes longer than `seconds`
 */
export async function eventually<T>(what: string, seconds: number, ask: () => Promise<T | null>): Promise<T> {
  const watch = new Stopwatch();
  let last: unknown = "it was not so";
  do {
    try {
      const answer = await ask();
      if (answer !== null) return answer;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(100);
  } while (watch.seconds < seconds);
  throw new Error(`not in ${seconds} s: ${what}`, { cause: last });
}
