import { type Address, formatEndpoint, sameAddress } from "./address.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Sun Jun 4 18:37:24 UTC 2023`: as date(1) prints it in the C locale and UTC, with single spaces. */
export function formatDate(epochMs: number): string {
  const date = new Date(epochMs);
  const two = (n: number): string => String(n).padStart(2, "0");
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const day = `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}`;
  return `${day} ${time} UTC ${date.getUTCFullYear()}`;
}

const SERVER_LINES_MAX = 1024;

/**
 * Writes the banner of a session. The text of the date is made once a second, that of a server address once:
 * both lie as bytes in `bytes`, where only the client's line is written for each session.
 */
export class Banner {
  /** The banner of the latest `write`, from 0 on. At a fixed place, so an engine can send straight from it. */
  readonly bytes: Uint8Array;
  readonly #fields: string;
  readonly #serverLines = new Map<number, { address: Address; port: number; line: string }[]>();
  #serverLineCount = 0;
  #second = -1;
  #dateLine = "";
  readonly #encoder = new TextEncoder();

  /**
   * @param fields further lines, each ended by `\n`, for after `Client:` (and `Via:`); may be empty
   * @param bytes where to write: `bannerBytesMax(fields)` bytes or more
   */
  constructor(fields: string, bytes: Uint8Array = new Uint8Array(bannerBytesMax(fields))) {
    this.#fields = fields;
    this.bytes = bytes;
  }

  /**
   * The banner of one session; returns its length in `bytes`.
   * @param proxy the proxy's own end, where a PROXY header named another client
   */
  write(
    server: Address,
    serverPort: number,
    client: Address,
    clientPort: number,
    proxy: { address: Address; port: number } | null = null,
  ): number {
    const via = proxy === null ? "" : `Via: ${formatEndpoint(proxy.address, proxy.port)}\n`;
    const text = `${this.#date()}${this.#server(server, serverPort)}Client: ${formatEndpoint(client, clientPort)}\n${via}${this.#fields}\n`;
    return this.#encoder.encodeInto(text, this.bytes).written;
  }

  #date(): string {
    const now = Date.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#dateLine = `${formatDate(now)}\n`;
    }
    return this.#dateLine;
  }

  #server(address: Address, port: number): string {
    const key = address.a3 ^ port;
    const lines = this.#serverLines.get(key);
    const known = lines?.find((known) => known.port === port && sameAddress(known.address, address));
    if (known !== undefined) return known.line;
    const { a0, a1, a2, a3 } = address;
    const line = `Server: ${formatEndpoint(address, port)}\n`;
    // A host has few addresses; 127.0.0.0/8 has 16 million, and they must not fill the memory.
    if (this.#serverLineCount++ >= SERVER_LINES_MAX) {
      this.#serverLines.clear();
      this.#serverLineCount = 1;
    }
    const entry = { address: { a0, a1, a2, a3 }, port, line };
    if (lines === undefined || this.#serverLineCount === 1) this.#serverLines.set(key, [entry]);
    else lines.push(entry);
    return line;
  }
}

/** The most bytes a banner with these fields can have: the longest date, three IPv6 endpoints, the empty line. */
export function bannerBytesMax(fields: string): number {
  const endpoint = "Server: [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535\n".length;
  return 32 + 3 * endpoint + new TextEncoder().encode(fields).length + 1;
}
