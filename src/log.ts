import { isatty } from "node:tty";
import pino, { type Logger } from "pino";
import { LineOutput } from "./sys/output.ts";

export type { Logger } from "pino";

const STDOUT = 1;

/** How much is logged, and in what form. */
export interface LogOptions {
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  readonly logFormat: "auto" | "json" | "pretty";
}

/** The log, and what can be known of its reader. */
export interface Log {
  readonly logger: Logger;
  /** Lines that nobody read, so far. */
  linesLost(): number;
  /** Waits, for at most so long, until all lines have been taken; for the moment before an end. */
  flush(patienceMs: number): void;
}

/**
 * The log: structured, one line per event, on standard output, since a server that answers over the network has
 * nothing else to say there (what a person typed wrong goes to standard error). A reader that is behind costs
 * lines, and nothing else: one line then tells how many.
 */
export async function openLog(options: LogOptions): Promise<Log> {
  const { logLevel: level, logFormat } = options;
  const output = new LineOutput(STDOUT);
  const pretty = logFormat === "pretty" || (logFormat === "auto" && isatty(STDOUT));
  const prettify = pretty ? await prettifier() : (line: string) => line;
  const logger = pino(
    {
      level,
      base: null, // the container's log has its own host and process
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => output.write(prettify(line)) },
  );
  output.onReaderBack = (lines) => logger.warn({ lines }, "log lines lost: nobody read them");
  return {
    logger,
    linesLost: () => output.linesLost,
    flush: (patienceMs) => output.flush(patienceMs),
  };
}

/** In this thread and not in pino's worker, which a single compiled binary does not have. Loaded only if used. */
async function prettifier(): Promise<(line: string) => string> {
  const { prettyFactory } = await import("pino-pretty");
  return prettyFactory({ colorize: isatty(STDOUT), singleLine: true });
}
