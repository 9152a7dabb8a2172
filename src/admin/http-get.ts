import { dialByBun } from "../client/bun/dial.ts";
import { adoptingDial } from "../client/bun/dial-adopted.ts";
import type { Connection, ConnectionEvents } from "../client/dial.ts";
import type { Failure } from "../client/failure.ts";
import { socketsRead } from "../client/wake.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import { HttpAnswerReader, type HttpGot, NoAnswer } from "./http-answer-reader.ts";

export { type HttpGot, NoAnswer } from "./http-answer-reader.ts";

/** What bounds a question. */
export interface HttpPatience {
  /** From the first SYN to the last byte. */
  readonly timeoutMs: number;
  /** Of the answer, its head included. */
  readonly bytesMax: number;
}

/**
 * Asks a server by HTTP, straight: one connection, one GET, no redirect. (Bun's fetch goes by the proxy that HTTP_PROXY
 * names, whatever its own option `proxy` says; in many clusters that variable is set, and a proxy has no way to a Pod.) A
 * server that sends without end, or slowly, costs `bytesMax` and `timeoutMs`. Throws nothing.
 */
export function httpGet(server: Endpoint, path: string, patience: HttpPatience): Promise<HttpGot | NoAnswer> {
  const { promise, resolve } = Promise.withResolvers<HttpGot | NoAnswer>();
  const get = new Get(server, path, patience, resolve);
  get.begin();
  return promise;
}

class Get implements ConnectionEvents {
  readonly #server: Endpoint;
  readonly #timeoutMs: number;
  readonly #tell: (got: HttpGot | NoAnswer) => void;
  readonly #reader: HttpAnswerReader;
  #unsent: Uint8Array;
  #connection: Connection | null = null;
  #giveUp: () => void = () => {};
  #timer: Timer | null = null;
  #over = false;

  constructor(
    server: Endpoint,
    path: string,
    patience: HttpPatience,
    tell: (got: HttpGot | NoAnswer) => void,
  ) {
    this.#server = server;
    this.#timeoutMs = patience.timeoutMs;
    this.#reader = new HttpAnswerReader(patience.bytesMax);
    this.#tell = tell;
    this.#unsent = Buffer.from(
      `GET ${path} HTTP/1.1\r\nhost: ${formatEndpoint(server)}\r\nconnection: close\r\n\r\n`,
    );
  }

  begin(): void {
    const tooLate = new NoAnswer(`no answer within ${this.#timeoutMs} ms`);
    // A process that was late itself looks at its timers before it has read what came in time.
    const late = async (): Promise<void> => {
      await socketsRead();
      this.#end(tooLate);
    };
    this.#timer = setTimeout(() => void late(), this.#timeoutMs);
    this.#giveUp = (adoptingDial() ?? dialByBun)(this.#server, {}, this);
  }

  connected(connection: Connection): void {
    this.#connection = connection;
    if (this.#over) connection.terminate();
    else this.writable();
  }

  failed({ code }: Failure): void {
    this.#end(new NoAnswer(`no connection: ${code}`));
  }

  writable(): void {
    if (this.#unsent.length === 0) return;
    const sent = Math.max(0, this.#connection?.write(this.#unsent) ?? 0);
    this.#unsent = this.#unsent.subarray(sent);
  }

  data(bytes: Uint8Array): void {
    if (this.#over) return;
    const got = this.#reader.push(bytes);
    if (got !== null) this.#end(got);
  }

  fin(): void {
    if (!this.#over) this.#end(this.#reader.end());
  }

  closed(error: string | null): void {
    if (error === null) this.fin();
    this.#end(new NoAnswer("the connection was reset before an answer"));
  }

  /** By a reset: no port is left in TIME-WAIT, however often one asks. */
  #end(got: HttpGot | NoAnswer): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#connection === null) this.#giveUp();
    else this.#connection.terminate();
    this.#tell(got);
  }
}
