/** What comes of a try of the front door. The order is the order of `echo_probe_total`. */
export const PROBE_RESULTS = [
  /** The echo came back. */
  "ok",
  /** Nothing, or too little, within the time. */
  "timeout",
  /** Nothing listens there. */
  "refused",
  /** The connection was closed or reset before the echo. */
  "closed",
  /** Something else than an echo came back. */
  "wrong",
  /** The probe itself had no socket, since no descriptor was left for example. */
  "failed",
] as const;
export type ProbeResult = (typeof PROBE_RESULTS)[number];

/** What went wrong, for the counter and in words. */
export interface ProbeFault {
  readonly result: Exclude<ProbeResult, "ok">;
  readonly why: string;
}

export const CLOSED: ProbeFault = { result: "closed", why: "the connection was closed before the echo" };
export const WRONG: ProbeFault = { result: "wrong", why: "something else than an echo came back" };

export function timedOut(timeoutMs: number): ProbeFault {
  return { result: "timeout", why: `no echo within ${timeoutMs} ms` };
}

/** @param code the system's name of the error, such as `EMFILE` */
export function cannotOpen(code: string): ProbeFault {
  return { result: "failed", why: `cannot open a socket: ${code}` };
}

/** @param code the system's name of the error, such as `ECONNREFUSED` */
export function cannotConnect(code: string): ProbeFault {
  return { result: code === "ECONNREFUSED" ? "refused" : "failed", why: `cannot connect: ${code}` };
}

/** What a probe sends: nobody else does, and no PROXY header starts so. */
export function makeNonce(): string {
  return `probe ${crypto.randomUUID()}`;
}

/** What may come before the echo: a banner with every field is far shorter. */
const ANSWER_CHARACTERS_MAX = 4096;

/** What `answer`, all that came so far, is: the echo (null), a fault, or a beginning (undefined). */
export function judgeAnswer(answer: string, nonce: string): ProbeFault | null | undefined {
  if (answer.endsWith(nonce)) return null;
  return answer.length > ANSWER_CHARACTERS_MAX ? WRONG : undefined;
}
