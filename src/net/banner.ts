import { type Endpoint, parseEndpoint } from "./endpoint.ts";

/** What a server said of a session before its first echo. */
export interface Banner {
  /** As it stands there: `Sun Jun 4 18:37:24 UTC 2023`. */
  readonly date: string;
  /** The server's end of the session, as the server sees it. */
  readonly server: Endpoint;
  /** The client's end, as the server sees it: where an address is translated on the way, it is not the client's own. */
  readonly client: Endpoint;
  /** The proxy's end, where a PROXY header named the client. */
  readonly via: Endpoint | null;
  readonly pod: string | null;
  readonly node: string | null;
  readonly namespace: string | null;
  /** Bytes of the banner, its empty line included. */
  readonly length: number;
}

/** How a session began: with a banner or without, and the bytes that are the echo's. */
export interface Beginning {
  readonly banner: Banner | null;
  readonly rest: Uint8Array;
}

/** A banner is shorter, whatever its fields: Kubernetes names have 253 characters at most. */
export const BANNER_BYTES_MAX = 4096;

const NEWLINE = 10;
/** Bytes that are no UTF-8 become U+FFFD, which may stand in a field's text and nowhere else. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** What follows the names of day and month; `9` stands for any digit. */
const DATE_TAILS = [" 9 99:99:99 UTC 9999", " 99 99:99:99 UTC 9999"];
const SERVER = "Server: ";
const CLIENT = "Client: ";
/** Of an address in brackets with its zone, and a port: `[ffff:…:ffff%fifteen-letters]:65535`. */
const ENDPOINT_CHARACTERS_MAX = 64;
/**
 * A further line, whole or its beginning: a word that starts with a capital, a colon, a text that takes up its place when
 * it is shown. Nothing in it may move a terminal's cursor, turn a line around or be invisible: it comes from a stranger.
 */
const FIELD_PREFIX = /^[A-Z][A-Za-z-]*(?:: ?[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*)?$/u;
const FIELD = /^([A-Z][A-Za-z-]*): ([^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+)$/u;

/**
 * Tells a banner from an echo, on bytes as they come: cut anywhere, and with the echo glued on. It decides at the
 * first byte that no banner can have there, so who sends a payload that starts like no banner (`payload.ts`) sees
 * from the first byte of the answer that none comes. It keeps `BANNER_BYTES_MAX` bytes at most, and never throws.
 */
export class BannerReader {
  #held = new Uint8Array(0);
  #lineStart = 0;
  #lines = 0;
  readonly #fields = new Map<string, string>();
  #date = "";
  #server: Endpoint | null = null;
  #client: Endpoint | null = null;
  #via: Endpoint | null = null;

  /**
   * Takes the next bytes. Null while they may still become a banner; else the decision, for good: what came is in
   * it, as banner and as `rest`. Not to be called again after that.
   */
  take(chunk: Uint8Array): Beginning | null {
    this.#hold(chunk);
    for (;;) {
      const newline = this.#held.indexOf(NEWLINE, this.#lineStart);
      const end = newline === -1 ? this.#lineStart + BANNER_BYTES_MAX : newline;
      const line = DECODER.decode(this.#held.subarray(this.#lineStart, end));
      const tooLong = (newline === -1 ? this.#held.length : newline) >= BANNER_BYTES_MAX;
      if (tooLong || !(newline === -1 ? this.#mayBegin(line) : this.#takeLine(line))) return this.#none();
      if (newline === -1) return null;
      this.#lineStart = newline + 1;
      if (line === "") return { banner: this.#banner(), rest: this.#held.subarray(this.#lineStart) };
    }
  }

  /** What came so far, when no more will come: it was no whole banner. */
  giveUp(): Beginning {
    return this.#none();
  }

  #none(): Beginning {
    return { banner: null, rest: this.#held };
  }

  #hold(chunk: Uint8Array): void {
    const held = new Uint8Array(this.#held.length + chunk.length);
    held.set(this.#held);
    held.set(chunk, this.#held.length);
    this.#held = held;
  }

  /** Whether the next line can begin so. */
  #mayBegin(text: string): boolean {
    if (this.#lines === 0) return mayBeDate(text);
    if (this.#lines <= 2) return mayBeEndpoint(text, this.#lines === 1 ? SERVER : CLIENT);
    return text === "" || FIELD_PREFIX.test(text);
  }

  /** Takes a whole line; false if no banner has it there. */
  #takeLine(line: string): boolean {
    switch (this.#lines++) {
      case 0:
        this.#date = line;
        return mayBeDate(line) && DATE_TAILS.some((tail) => line.length === 7 + tail.length);
      case 1:
        this.#server = endpointIn(line, SERVER);
        return this.#server !== null;
      case 2:
        this.#client = endpointIn(line, CLIENT);
        return this.#client !== null;
      default:
        return line === "" || this.#takeField(line);
    }
  }

  #takeField(line: string): boolean {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined || this.#fields.has(name)) return false;
    this.#fields.set(name, value);
    if (name !== "Via") return true;
    this.#via = parseEndpoint(value);
    return this.#via !== null;
  }

  #banner(): Banner {
    const field = (name: string): string | null => this.#fields.get(name) ?? null;
    return {
      date: this.#date,
      server: this.#server!, // the lines came in their order, or it would be no banner
      client: this.#client!,
      via: this.#via,
      pod: field("Pod"),
      node: field("Node"),
      namespace: field("Namespace"),
      length: this.#lineStart,
    };
  }
}

/** The banner that a whole datagram is; null where it is anything else, including a banner with more after it. */
export function readBanner(datagram: Uint8Array): Banner | null {
  const beginning = new BannerReader().take(datagram);
  return beginning?.rest.length === 0 ? beginning.banner : null;
}

function mayBeDate(text: string): boolean {
  const day = text.slice(0, 3);
  const month = text.slice(4, 7);
  return (
    DAYS.some((name) => name.startsWith(day)) &&
    " ".startsWith(text.slice(3, 4)) &&
    MONTHS.some((name) => name.startsWith(month)) &&
    DATE_TAILS.some((tail) => startsLike(tail, text.slice(7)))
  );
}

/** Whether a template, whose `9` is any digit, can begin with this text. */
function startsLike(template: string, text: string): boolean {
  if (text.length > template.length) return false;
  for (let at = 0; at < text.length; at++) {
    if (template[at] === "9" ? !/\d/.test(text[at]!) : template[at] !== text[at]) return false;
  }
  return true;
}

function mayBeEndpoint(text: string, label: string): boolean {
  if (text.length <= label.length) return label.startsWith(text);
  return (
    text.startsWith(label) &&
    /^[^\s\p{Cc}]*$/u.test(text.slice(label.length)) &&
    text.length <= label.length + ENDPOINT_CHARACTERS_MAX
  );
}

function endpointIn(line: string, label: string): Endpoint | null {
  return line.startsWith(label) ? parseEndpoint(line.slice(label.length)) : null;
}
