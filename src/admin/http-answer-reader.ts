/** An answer to GET, as far as anybody here reads it. */
export interface HttpGot {
  readonly status: number;
  readonly body: string;
}

/** Why there is no answer, for a counter. */
export const GET_FAULTS = ["no_answer", "too_large", "malformed"] as const;
export type GetFault = (typeof GET_FAULTS)[number];

/** No answer, or none that can be read. */
export class NoAnswer {
  /** @param why in words, on one line */
  constructor(
    readonly why: string,
    readonly fault: GetFault = "no_answer",
  ) {}
}

const HEAD_END = "\r\n\r\n";
const HEAD_BYTES_MAX = 16_384;
const FIRST_BYTES = 4096;
const STATUS_LINE = /^HTTP\/1\.\d ([2-5]\d\d)(?: |$)/;
const MALFORMED = new NoAnswer("an answer that is no HTTP", "malformed");
const HEAD_TOO_LARGE = new NoAnswer(
  `an answer whose head has more than ${HEAD_BYTES_MAX} bytes`,
  "too_large",
);
const CUT = new NoAnswer("an answer that is not whole", "malformed");

/** How the body's end is known (RFC 9112, 6.3). */
type Framing = { readonly bytes: number } | "chunked" | "to_end";

/**
 * Reads the answer to one GET, in whatever pieces it comes: each byte is looked at once, or twice. It knows no socket and
 * no clock, and keeps `bytesMax` at most.
 */
export class HttpAnswerReader {
  readonly #bytesMax: number;
  #bytes = Buffer.alloc(FIRST_BYTES);
  #length = 0;
  #head: { readonly status: number; readonly bodyAt: number; readonly framing: Framing } | null = null;

  /** @param bytesMax of head and body */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes have come. @returns null while the answer is not whole */
  push(piece: Uint8Array): HttpGot | NoAnswer | null {
    if (this.#length + piece.length > this.#bytesMax)
      return new NoAnswer(`an answer of more than ${this.#bytesMax} bytes`, "too_large");
    const seen = Math.max(0, this.#length - HEAD_END.length + 1);
    this.#append(piece);
    if (this.#head === null) {
      const end = this.#bytes.subarray(0, this.#length).indexOf(HEAD_END, seen);
      if (end === -1) return this.#length > HEAD_BYTES_MAX ? HEAD_TOO_LARGE : null;
      const head = readHead(this.#bytes.toString("latin1", 0, end));
      if (head === null) return MALFORMED;
      this.#head = { ...head, bodyAt: end + HEAD_END.length };
    }
    const { status, bodyAt, framing } = this.#head;
    if (typeof framing === "string" || this.#length < bodyAt + framing.bytes) return null;
    return { status, body: this.#bytes.toString("utf8", bodyAt, bodyAt + framing.bytes) };
  }

  /** Nothing more will come. */
  end(): HttpGot | NoAnswer {
    if (this.#head === null) return this.#length === 0 ? CUT : MALFORMED;
    const { status, bodyAt, framing } = this.#head;
    const rest = this.#bytes.subarray(bodyAt, this.#length);
    if (framing === "to_end") return { status, body: rest.toString("utf8") };
    const body = framing === "chunked" ? dechunk(rest) : null;
    return body === null ? CUT : { status, body: body.toString("utf8") };
  }

  #append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(length, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }
}

function readHead(text: string): { status: number; framing: Framing } | null {
  const [statusLine = "", ...fields] = text.split("\r\n");
  const status = STATUS_LINE.exec(statusLine)?.[1];
  if (status === undefined) return null;
  const field = (name: string): string | undefined =>
    fields
      .find((each) => each.toLowerCase().startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  if (field("transfer-encoding")?.toLowerCase().includes("chunked"))
    return { status: Number(status), framing: "chunked" };
  const length = field("content-length");
  if (length === undefined) return { status: Number(status), framing: "to_end" };
  return /^\d{1,12}$/.test(length) ? { status: Number(status), framing: { bytes: Number(length) } } : null;
}

/** A chunked body (RFC 9112, 7.1), as a proxy beside a Pod may make of any. Null where it is none, or has no end. */
function dechunk(rest: Buffer): Buffer | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return null;
    const size = /^([0-9a-f]{1,8})(?:[ \t]*;.*)?$/i.exec(rest.toString("latin1", at, lineEnd))?.[1];
    if (size === undefined) return null;
    const length = Number.parseInt(size, 16);
    if (length === 0) return Buffer.concat(pieces);
    const start = lineEnd + 2;
    if (rest.length < start + length + 2) return null;
    pieces.push(rest.subarray(start, start + length));
    at = start + length + 2;
  }
}
