import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import pino, { type DestinationStream, type Logger } from "pino";
import type { Config } from "./config.ts";

export type { Logger } from "pino";

const STDOUT = 1;

/**
 * The log: structured, one line per event, on standard output, since a server that answers over the network has
 * nothing else to say there (what a person typed wrong goes to standard error). Lines are written before the call
 * returns, so the last one before an end is never lost; there is a handful of them unless sessions are logged.
 */
export async function makeLogger(config: Pick<Config, "logLevel" | "logFormat">): Promise<Logger> {
  const { logLevel: level, logFormat } = config;
  const pretty = logFormat === "pretty" || (logFormat === "auto" && isatty(STDOUT));
  return pino(
    {
      level,
      base: null, // the container's log has its own host and process
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pretty ? await prettyStream() : standardOutput,
  );
}

/** Standard output, which may go away (`echo-server | head -1`): the server outlives its reader. */
const standardOutput: DestinationStream = {
  write(line) {
    const bytes = Buffer.from(line);
    for (let written = 0; written < bytes.length; ) {
      try {
        written += writeSync(STDOUT, bytes, written);
      } catch (error) {
        if (!isTryAgain(error)) return;
        Bun.sleepSync(1); // a pipe that does not block and is full: its reader is behind
      }
    }
  },
};

function isTryAgain(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EAGAIN";
}

/** In this thread and not in pino's worker, which a single compiled binary does not have. Loaded only if used. */
async function prettyStream(): Promise<DestinationStream> {
  const { default: pretty } = await import("pino-pretty");
  return pretty({ colorize: isatty(STDOUT), sync: true, destination: STDOUT, singleLine: true });
}
