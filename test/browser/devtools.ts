/** A connection to a browser by its DevTools protocol: commands with answers, and events. */

/** What goes along with a command, and what comes with an event: as the protocol's own pages have it. */
export type Fields = Readonly<Record<string, unknown>>;

interface Pending {
  readonly resolve: (result: Fields) => void;
  readonly reject: (why: Error) => void;
}

interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Fields;
  readonly result?: Fields;
  readonly error?: { readonly message: string };
}

export class DevTools {
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<string, (method: string, params: Fields) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.onmessage = ({ data }: MessageEvent<string>) => this.#take(JSON.parse(data) as Message);
    socket.onclose = () => {
      for (const { reject } of this.#pending.values()) reject(new Error("the browser has gone"));
      this.#pending.clear();
    };
  }

  static async connect(url: string): Promise<DevTools> {
    const socket = new WebSocket(url);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`no DevTools at ${url}`));
    await promise;
    return new DevTools(socket);
  }

  /** @param sessionId of a tab; "" for the browser itself */
  send(sessionId: string, method: string, params: Fields = {}): Promise<Fields> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Fields>();
    const failed = (why: Error): void => reject(new Error(`${method}: ${why.message}`));
    this.#pending.set(id, { resolve, reject: failed });
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === "" ? {} : { sessionId }) }));
    return promise;
  }

  /** Tells the events of a tab. */
  listen(sessionId: string, onEvent: (method: string, params: Fields) => void): void {
    this.#listeners.set(sessionId, onEvent);
  }

  close(): void {
    this.#socket.close();
  }

  #take({ id, sessionId = "", method, params = {}, result = {}, error }: Message): void {
    if (id === undefined) {
      this.#listeners.get(sessionId)?.(method!, params);
      return;
    }
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) pending?.resolve(result);
    else pending?.reject(new Error(error.message));
  }
}
