/**
 * What the person at the keyboard did wrong: a bad flag, a bad value, a combination that cannot work.
 * Its message is one line that names the option, the value and what is allowed. The process prints it
 * and exits 2. Every other error is a fault of the machine (exit 1) or a bug.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A fault of the machine at start: a port in use, no permission. One line, exit 1. */
export class StartError extends Error {
  override readonly name = "StartError";
}
