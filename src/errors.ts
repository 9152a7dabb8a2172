/**
 * What the person at the keyboard did wrong: a bad flag, a bad value, a combination that cannot work.
 * Its message is one line that names the option, the value and what is allowed. The process prints it
 * and exits 2. Every other error is a fault of the machine (exit 1) or a bug.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A fault of the machine, at start or where a result is told: a port in use, no permission, a full disk. One line, exit 1. */
export class StartError extends Error {
  override readonly name = "StartError";
  /** The system's name of what went wrong, such as `EADDRINUSE`; null where it is no error of the system's. */
  readonly code: string | null;

  constructor(message: string, code: string | null = null) {
    super(message);
    this.code = code;
  }
}

/** On one line, whatever the value holds, and no longer than so many characters. */
export function printable(text: string, longest = 200): string {
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, " ");
  return plain.length > longest ? `${plain.slice(0, longest)}...` : plain;
}

/** That a result could not be written. @param code of the error of write(2): `ENOSPC` */
export function unwritten(code: string): StartError {
  return new StartError(`standard output cannot be written: ${code}`, code);
}
