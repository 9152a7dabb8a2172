import { Failure } from "../../src/client/failure.ts";
import { makePayload, newRun } from "../../src/client/payload.ts";
import type { Counts } from "../../src/client/tracker.ts";
import { type Endpoint, parseEndpoint } from "../../src/net/endpoint.ts";

/** What the tests of the client share. */

/** Longer than anything takes that works; what waits for so long has failed. */
export const PATIENCE_MS = 15_000;

/** For what is meant not to come: long enough for a busy machine to connect and to answer. */
export const SHORT_MS = 300;

export const SIZE = 64;

/** The flow that is asked with, where there is one. */
export const KEY = { run: newRun(), flow: 1 };

/** A message of that flow. */
export function message(number: number, size = SIZE): Uint8Array {
  return makePayload(KEY, number, size);
}

export const NO_COUNTS: Counts = {
  sent: 0,
  answered: 0,
  late: 0,
  lost: 0,
  replaced: 0,
  duplicated: 0,
  reordered: 0,
  corrupted: 0,
  foreign: 0,
  forgotten: 0,
};

/** An endpoint that is one. */
export function endpoint(text: string): Endpoint {
  const end = parseEndpoint(text);
  if (end === null) throw new Error(`${text} is no endpoint`);
  return end;
}

/** What is no failure. @throws with the failure where it is one */
export function good<T>(value: T | Failure): T {
  if (value instanceof Failure) throw new Error(`${value}`);
  return value;
}

/** A failure. @throws where there is none */
export function bad(value: unknown): Failure {
  if (value instanceof Failure) return value;
  throw new Error(`no failure but ${JSON.stringify(value)}`);
}
