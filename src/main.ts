#!/usr/bin/env bun
import { writeSync } from "node:fs";
import { constants } from "node:os";
import { type Invocation, parseCommandLine } from "./cli.ts";
import { StartError, UsageError } from "./errors.ts";
import { makeLogger } from "./log.ts";
import { versionText } from "./version.ts";

/** The process: arguments, environment, signals and exit codes. Nothing else touches them. */

const STDOUT = 1;
const STDERR = 2;

/** Writes a line and ends. */
function end(code: number, descriptor: number, line: string): never {
  try {
    writeSync(descriptor, `${line.trimEnd()}\n`);
  } catch {
    // Nobody reads it.
  }
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

async function run(invocation: Invocation): Promise<void> {
  switch (invocation.command) {
    case "print":
      return end(0, STDOUT, invocation.text);
    case "health": {
      const { askHealth } = await import("./admin/ask.ts");
      const { hosts, port, timeoutMs } = invocation.target;
      const { ok, text } = await askHealth(hosts?.[0] ?? "127.0.0.1", port, invocation.path, timeoutMs);
      return end(ok ? 0 : 1, STDOUT, text);
    }
    case "serve": {
      const shutdown = shutdownBySignal();
      const { serve } = await import("./server.ts");
      const log = await makeLogger(invocation.config);
      const onFault = (inject: () => void): void => void process.on("SIGUSR2", inject);
      await serve(invocation.config, { env: process.env, log, shutdown, onFault });
      process.exit(0);
    }
  }
}

/** The first SIGTERM or SIGINT asks for an orderly end; the second ends at once, as the signal alone would have. */
function shutdownBySignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
      controller.abort(signal);
    });
  }
  return controller.signal;
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
try {
  await run(parseCommandLine(process.argv.slice(2), process.env, versionText()));
} catch (error) {
  fail(error);
}
