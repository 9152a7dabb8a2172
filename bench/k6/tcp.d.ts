/**
 * What the scripts here use of k6's TCP module: its API as it behaves with k6 v2.1.0, which is not in every point what
 * its own types say (a chunk is no Uint8Array).
 */
declare module "k6/x/tcp" {
  /** Not an instance of Error. */
  export interface TCPError {
    name: "TCPError";
    method: string;
    message: string;
  }

  /**
   * A slice of Go bytes, at most 4096. Reading it by index is slow, so it goes into k6's own functions (a hash), which
   * take it natively. Its storage is given back when the handler returns: what is kept must be copied.
   */
  export type Chunk = ArrayLike<number> & { readonly [slice]: true };
  const slice: unique symbol;

  export class Socket {
    constructor(options?: { tags?: Record<string, string> });
    /** Rejects with a TCPError, and tells the error handler as well. A second connect leaks the first. */
    connect(port: number | string, host?: string): Promise<void>;
    /** An ArrayBuffer is not copied: it must stay as it is until the Promise is settled. */
    write(
      data: string | ArrayBuffer,
      options?: { encoding?: string; tags?: Record<string, string> },
    ): Promise<void>;
    /** One handler an event: a second replaces the first. */
    on(event: "connect" | "close" | "timeout", handler: () => void): void;
    on(event: "data", handler: (chunk: Chunk) => void): void;
    on(event: "error", handler: (error: TCPError) => void): void;
    /** Milliseconds without a byte read; fires again each time they pass, and closes nothing. 0 is off. */
    setTimeout(ms: number): void;
    /** The only close. */
    destroy(): void;
    readonly ready_state: "disconnected" | "opening" | "open" | "destroyed";
    readonly connected: boolean;
    /** Undefined before the connect and after the end. */
    readonly local_ip?: string;
    readonly local_port?: number;
    readonly remote_ip?: string;
    readonly remote_port?: number;
    readonly bytes_written: number;
    readonly bytes_read: number;
  }

  const tcp: { Socket: typeof Socket };
  export default tcp;
}
