/**
 * Reads HTTP/1 requests from a stream of bytes: strictly, since what two readers take differently is how requests are
 * smuggled. It knows no socket and no clock, holds a few KB at most, and says the same whatever pieces the bytes come
 * in. Sections are of RFC 9112 (HTTP/1.1) unless named otherwise.
 */

/** A request, whole. */
export interface HttpRequest {
  readonly method: string;
  /** Without query and fragment, as it was written: nothing is decoded or resolved. */
  readonly path: string;
  /** What follows the first `?` of the target, without a fragment, as it was written; "" where nothing does. */
  readonly query: string;
  /** Whom the client means to ask: the target's host, else the Host field, both unchecked; null where it names none. */
  readonly host: string | null;
  /** The connection ends with the answer: the client asks for it, or cannot do otherwise. */
  readonly close: boolean;
}

/** Bytes that are no request to be answered: what to say before the connection ends. */
export interface HttpFault {
  readonly status: number;
  /** One line for a person. */
  readonly why: string;
}

/** The longest request line with its end: a path here has ten bytes. */
export const REQUEST_LINE_BYTES_MAX = 4096;
/** All of a head, request line and empty lines included. */
export const HEAD_BYTES_MAX = 8192;
/** No request has a body that is looked at; one of this length is read over, a longer one ends the connection. */
export const BODY_BYTES_MAX = 1024;

const LF = 0x0a;
const NOTHING = new Uint8Array(0);
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"; // RFC 9110, 5.6.2
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e]+) HTTP/(\\d)\\.(\\d)$`);
const FIELD_NAME = new RegExp(`^${TOKEN}$`);
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const DIGITS = /^\d+$/;

/** The parts of a head that decide anything. */
interface Head {
  readonly method: string;
  readonly target: string;
  /** HTTP/1.0: no Host, and the connection ends unless it is asked to stay. */
  readonly old: boolean;
  readonly hosts: string[];
  readonly lengths: string[];
  codings: number;
  readonly connection: string[];
  readonly expectations: string[];
}

export class RequestReader {
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  /** The head that is being read; null before its first line. */
  #head: Head | null = null;
  #headBytes = 0;
  /** A request whose head is read, and the bytes of its body that are still to come. */
  #request: HttpRequest | null = null;
  #bodyLeft = 0;
  #over = false;

  /** Bytes that were pushed and not read yet. */
  get unread(): number {
    return this.#bytes.length - this.#at;
  }

  /** No request has begun. */
  get between(): boolean {
    return this.#headBytes === 0 && this.#request === null && this.unread === 0;
  }

  /** Adds what has come; the reader keeps the bytes until `trim`. */
  push(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#bytes = this.unread === 0 ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** The next request or fault; null until more bytes come, and for ever after a fault or a last request. */
  next(): HttpRequest | HttpFault | null {
    if (this.#over) return null;
    const found = this.#read();
    if (found !== null && ("status" in found || found.close)) this.#end();
    return found;
  }

  /** Lets go of what has been read: what is left of a large piece must not keep all of it in memory. */
  trim(): void {
    if (this.#at === 0) return;
    this.#bytes = this.unread === 0 ? NOTHING : this.#bytes.slice(this.#at);
    this.#at = 0;
  }

  #read(): HttpRequest | HttpFault | null {
    for (;;) {
      if (this.#request !== null) return this.#readBody(this.#request);
      const line = this.#readLine();
      if (line === null || typeof line !== "string") return line;
      const found = this.#takeLine(line);
      if (found !== null) return found;
    }
  }

  /** A line without its end; null while it is not whole. */
  #readLine(): string | HttpFault | null {
    const end = this.#bytes.indexOf(LF, this.#at);
    const length = end === -1 ? this.unread + 1 : end + 1 - this.#at; // with the end that is still to come
    if (this.#head === null && length > REQUEST_LINE_BYTES_MAX) {
      return { status: 414, why: `a request line has at most ${REQUEST_LINE_BYTES_MAX} bytes` };
    }
    if (this.#headBytes + length > HEAD_BYTES_MAX) {
      return { status: 431, why: `a request's head has at most ${HEAD_BYTES_MAX} bytes` };
    }
    if (end === -1) return null;
    const line = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, length).toString(
      "latin1",
    );
    this.#at = end + 1;
    this.#headBytes += length;
    // Section 2.2 allows a bare LF; who takes it as a line's end and who does not is how requests are smuggled.
    if (!line.endsWith("\r\n")) return bad("a line ends with CR LF");
    return line.slice(0, -2);
  }

  #takeLine(line: string): HttpRequest | HttpFault | null {
    if (this.#head !== null) return line === "" ? this.#endHead(this.#head) : takeField(this.#head, line);
    if (line === "") return null; // empty lines before a request are passed over (section 2.2)
    const head = readRequestLine(line);
    if ("status" in head) return head;
    this.#head = head;
    return null;
  }

  #endHead(head: Head): HttpRequest | HttpFault | null {
    this.#head = null;
    this.#headBytes = 0;
    const bodyBytes = bodyLength(head);
    if (typeof bodyBytes !== "number") return bodyBytes;
    const fault = hostFault(head) ?? expectationFault(head);
    if (fault !== null) return fault;
    const target = readTarget(head.target);
    if (target === null) return bad("the target is neither a path nor an http:// address");
    // A client that waits to be asked for its body is answered at once instead. Whether the body follows all the
    // same cannot be known then, so nothing can be read after it (RFC 9110, 10.1.1).
    const unasked = bodyBytes > 0 && head.expectations.length > 0;
    this.#request = {
      method: head.method,
      path: target.path,
      query: target.query,
      host: target.host ?? head.hosts[0] ?? null,
      close: unasked || asksToClose(head),
    };
    this.#bodyLeft = unasked ? 0 : bodyBytes;
    return null;
  }

  #readBody(request: HttpRequest): HttpRequest | null {
    const passed = Math.min(this.#bodyLeft, this.unread);
    this.#at += passed;
    this.#bodyLeft -= passed;
    if (this.#bodyLeft > 0) return null;
    this.#request = null;
    return request;
  }

  #end(): void {
    this.#over = true;
    this.#bytes = NOTHING;
    this.#at = 0;
  }
}

function bad(why: string): HttpFault {
  return { status: 400, why };
}

function readRequestLine(line: string): Head | HttpFault {
  const [, method, target, major, minor] = REQUEST_LINE.exec(line) ?? [];
  if (method === undefined || target === undefined) return bad("no HTTP request");
  if (major !== "1") return { status: 505, why: "only HTTP/1.0 and HTTP/1.1" };
  return {
    method,
    target,
    old: minor === "0",
    hosts: [],
    lengths: [],
    codings: 0,
    connection: [],
    expectations: [],
  };
}

/** Notes a field that matters. A line that begins with a blank would go on with the one before it (section 5.2). */
function takeField(head: Head, line: string): HttpFault | null {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(0, colon));
  const raw = line.slice(colon + 1);
  if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(raw)) return bad("a malformed header field");
  const value = trimBlanks(raw);
  switch (name.toLowerCase()) {
    case "host":
      head.hosts.push(value);
      break;
    case "content-length":
      head.lengths.push(value);
      break;
    case "transfer-encoding":
      head.codings++;
      break;
    case "connection":
      head.connection.push(...value.toLowerCase().split(",").map(trimBlanks));
      break;
    case "expect":
      head.expectations.push(value.toLowerCase());
      break;
  }
  return null;
}

/** Bytes of the body (section 6.3). A length said twice, even if both agree, is not believed. */
function bodyLength({ lengths, codings, old }: Head): number | HttpFault {
  const [length] = lengths;
  if (codings > 0) {
    if (old || length !== undefined) return bad("Transfer-Encoding beside Content-Length, or in HTTP/1.0");
    return { status: 501, why: "no transfer coding is understood" };
  }
  if (length === undefined) return 0;
  if (lengths.length > 1 || !DIGITS.test(length)) return bad("Content-Length is no number");
  const bytes = Number(length);
  return bytes > BODY_BYTES_MAX ? { status: 413, why: `a body has at most ${BODY_BYTES_MAX} bytes` } : bytes;
}

/** HTTP/1.1 names a host once (section 3.2); whichever it is, odd ones included, it is answered. */
function hostFault({ hosts, old }: Head): HttpFault | null {
  if (hosts.length > 1) return bad("more than one Host");
  return hosts.length === 0 && !old ? bad("HTTP/1.1 without Host") : null;
}

function expectationFault({ expectations }: Head): HttpFault | null {
  const known = expectations.every((expectation) => expectation === "100-continue");
  return known ? null : { status: 417, why: "only Expect: 100-continue" };
}

/** Section 9.3. */
function asksToClose({ connection, old }: Head): boolean {
  return connection.includes("close") || (old && !connection.includes("keep-alive"));
}

/** What a target in origin form, absolute form or `*` asks for (section 3.2); null for anything else. */
function readTarget(target: string): Pick<HttpRequest, "path" | "query" | "host"> | null {
  if (target === "*") return { path: target, query: "", host: null };
  const [, host] = /^https?:\/\/([^/?#]*)/i.exec(target) ?? [];
  const asked = host === undefined ? target : target.slice(target.indexOf("//") + 2 + host.length);
  const [resource] = asked.split("#", 1);
  const mark = resource!.indexOf("?");
  const path = mark === -1 ? resource! : resource!.slice(0, mark);
  if (!path.startsWith("/") && (path !== "" || host === undefined)) return null;
  return {
    path: path === "" ? "/" : path,
    query: mark === -1 ? "" : resource!.slice(mark + 1),
    host: host ?? null, // the target's counts before the field's (section 3.2.2)
  };
}

/** Without blanks at both ends; `trim` would take more than the two that HTTP has. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start]!)) start++;
  while (end > start && isBlank(text[end - 1]!)) end--;
  return text.slice(start, end);
}

function isBlank(character: string): boolean {
  return character === " " || character === "\t";
}
