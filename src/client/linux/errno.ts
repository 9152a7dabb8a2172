import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { Failure, type FailureCode, type Icmp } from "../failure.ts";

const WORDS = new Map(Object.entries(constants.errno).map(([word, errno]) => [errno, word]));

/** `ECONNREFUSED` */
export function wordOf(errno: number): string {
  return WORDS.get(errno) ?? getSystemErrorName(-errno);
}

/** What a call's error means. @param meaning one of `failure.ts` */
export function failureOf(
  errno: number,
  meaning: (error: string) => FailureCode,
  icmp: Icmp | null = null,
): Failure {
  const word = wordOf(errno);
  return new Failure(meaning(word), 0, word, null, icmp);
}
