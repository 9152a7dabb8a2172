import { type Address, isIPv4, sameAddress } from "../net/address.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";

const NEWLINE = 10;
const DOT = 46;
const ZERO = 48;
const COLON = 58;

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

/**
 * Writes the banner of a session. What stays the same (the date within a second, the server's address on a
 * listener) is made once and lies in `bytes`; a session costs the digits of its client.
 */
export class Banner {
  /** The banner of the latest `write`, from 0 on. At a fixed place, so an engine can send straight from it. */
  readonly bytes: Uint8Array;
  readonly #ending: Uint8Array;
  readonly #encoder = new TextEncoder();
  /** What the first `#headLength` bytes were made of: the date, the server's line and the word `Client: `. */
  #headLength = 0;
  #second = -1;
  #server: Address = { a0: 0, a1: 0, a2: 0, a3: 0 };
  #serverPort = -1;

  /**
   * @param fields further lines, each ended by `\n`, for after `Client:` (and `Via:`); may be empty
   * @param bytes where to write: `bannerBytesMax(fields)` bytes or more
   */
  constructor(fields: string, bytes: Uint8Array = new Uint8Array(bannerBytesMax(fields))) {
    this.#ending = this.#encoder.encode(`${fields}\n`);
    this.bytes = bytes;
  }

  /**
   * The banner of one session; returns its length in `bytes`.
   * @param via the proxy's own end, where a PROXY header named another client
   */
  write(
    server: Address,
    serverPort: number,
    client: Address,
    clientPort: number,
    via: Endpoint | null = null,
  ): number {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second || serverPort !== this.#serverPort || !sameAddress(server, this.#server)) {
      this.#writeHead(second, server, serverPort);
    }
    let at = this.#writeEndpoint(this.#headLength, client, clientPort);
    this.bytes[at++] = NEWLINE;
    if (via !== null) at = this.#writeText(at, `Via: ${formatEndpoint(via)}\n`);
    this.bytes.set(this.#ending, at);
    return at + this.#ending.length;
  }

  #writeHead(second: number, server: Address, serverPort: number): void {
    const { a0, a1, a2, a3 } = server;
    this.#second = second;
    this.#server = { a0, a1, a2, a3 }; // a copy: engines use theirs again
    this.#serverPort = serverPort;
    const text = `${formatDate(second * 1000)}\nServer: ${formatEndpoint({ address: server, port: serverPort })}\nClient: `;
    this.#headLength = this.#writeText(0, text);
  }

  #writeText(at: number, text: string): number {
    return at + this.#encoder.encodeInto(text, this.bytes.subarray(at)).written;
  }

  /** The client's end: IPv4 by its digits, without making a string. Returns where it ends. */
  #writeEndpoint(start: number, address: Address, port: number): number {
    if (!isIPv4(address)) return this.#writeText(start, formatEndpoint({ address, port }));
    let at = start;
    for (let shift = 24; shift >= 0; shift -= 8) {
      at = this.#writeNumber(at, (address.a3 >>> shift) & 255);
      this.bytes[at++] = shift > 0 ? DOT : COLON;
    }
    return this.#writeNumber(at, port);
  }

  /** Decimal digits of a number below 100,000. */
  #writeNumber(start: number, value: number): number {
    const bytes = this.bytes;
    const digits = value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : value < 10000 ? 4 : 5;
    for (let at = start + digits - 1, rest = value; at >= start; at--) {
      bytes[at] = ZERO + (rest % 10);
      rest = (rest / 10) | 0;
    }
    return start + digits;
  }
}

/** The most bytes a banner with these fields can have: the longest date, three IPv6 endpoints, the empty line. */
export function bannerBytesMax(fields: string): number {
  const endpoint = "Server: [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535\n".length;
  return 32 + 3 * endpoint + new TextEncoder().encode(fields).length + 1;
}
