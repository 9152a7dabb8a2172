import { type Invocation, parseCommandLine } from "./cli.ts";
import { StartError, UsageError, unwritten } from "./errors.ts";
import { exitCodeOf, shutdown } from "./signals.ts";
import { LineOutput, writeWhole } from "./sys/output.ts";
import { versionText } from "./version.ts";

/** The process: arguments, environment and exit codes. Nothing else touches them; signals are caught in signals.ts. */

const STDOUT = 1;
const STDERR = 2;

/** How long the end waits for whoever reads the last lines. */
const LAST_WORDS_MS = 500;

/** How long nobody may read of a command's result before it is given up. */
const STALL_MS = 60_000;

/** Writes a line and ends. */
function end(code: number, descriptor: number, line: string): never {
  const output = new LineOutput(descriptor);
  output.write(`${line.trimEnd()}\n`);
  output.flush(LAST_WORDS_MS);
  if (descriptor === STDOUT && output.fault !== null) fail(unwritten(output.fault));
  process.exit(code);
}

/** What went wrong, in one line: 2 for what the person did, 1 for what the machine or this program did. */
function fail(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  const [line] = message.split("\n", 1);
  if (error instanceof UsageError) end(2, STDERR, `echo-server: ${line}`);
  if (error instanceof StartError) end(1, STDERR, `echo-server: ${line}`);
  const where = error instanceof Error ? (/\n\s+at ([^\n]+)/.exec(error.stack ?? "")?.[1] ?? "") : "";
  end(1, STDERR, `echo-server: unexpected error: ${line}${where && ` (at ${where})`}`);
}

async function run(invocation: Invocation): Promise<never> {
  if (invocation.command === null) end(0, STDOUT, invocation.text);
  const { exitCode, text } = await invocation.command.run(invocation.task, {
    env: process.env,
    shutdown,
    endBySignal,
    onExit: (act) => void process.on("exit", () => act(LAST_WORDS_MS)),
    onSummary: (print) => void process.on("SIGUSR1", print),
    onFault: (inject) => void process.on("SIGUSR2", inject),
  });
  if (text !== undefined) await tell(text);
  process.exit(exitCode);
}

/** Writes a command's result, and waits for its reader; a signal ends that. */
async function tell(text: string): Promise<void> {
  // After a first signal the result is still told; the second ends the process.
  if (!shutdown.aborted) endBySignal();
  const written = await writeWhole(STDOUT, `${text.trimEnd()}\n`, STALL_MS);
  if (typeof written === "object") throw unwritten(written.fault);
  if (written === "stalled")
    end(1, STDERR, `echo-server: nobody reads standard output: given up after ${STALL_MS / 1000} s`);
}

/** Nothing is worth an orderly end: the first signal is enough. */
function endBySignal(): void {
  const exit = (): never => process.exit(exitCodeOf(shutdown.reason));
  if (shutdown.aborted) exit();
  shutdown.addEventListener("abort", exit, { once: true });
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
try {
  await run(parseCommandLine(process.argv.slice(2), process.env, versionText()));
} catch (error) {
  fail(error);
}
