import type { Address } from "../net/address.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { Failure } from "./failure.ts";
import { type Patience, Wake } from "./wake.ts";

/** A datagram that came. */
export interface Datagram {
  readonly bytes: Uint8Array;
  /** Who sent it; null where the system names an end that cannot be read. */
  readonly from: Endpoint | null;
  /** When it came, by `performance.now()`: as the kernel stamped it where that is to be had, else when it was read. */
  readonly atMs: number;
  /** The address of this machine that it came to; null where the system does not say. */
  readonly to: Address | null;
  /** Its TTL or hop limit on arrival, 1 to 255; null where the system does not say. */
  readonly ttl: number | null;
  /** Bytes of the largest IP fragment that it came in, 0 where it came whole; null where the system does not say. */
  readonly fragmentBytes: number | null;
}

/** What came and was not asked for yet takes so much memory at most; what comes beyond that is dropped. */
const BYTES_MAX = 4 * 1024 * 1024;

/** What a datagram costs beside its bytes. */
const OVERHEAD_BYTES = 256;

/** What came on a UDP socket, datagrams and errors, in the order in which it came. */
export class UdpInbox {
  /** What was thrown away because nobody asked for it in time. */
  dropped = 0;
  readonly #wake = new Wake();
  readonly #queue: (Datagram | Failure)[] = [];
  #bytes = 0;
  #end: Failure | null = null;

  put(item: Datagram | Failure): void {
    if (this.#bytes > BYTES_MAX) {
      this.dropped++;
      return;
    }
    this.#queue.push(item);
    this.#bytes += costOf(item);
    this.#wake.notify();
  }

  /** Nothing more will come. What came already is still handed out. */
  end(failure: Failure): void {
    this.#end ??= failure;
    this.#wake.notify();
  }

  /** The next item; `timeout` when there is none by then. */
  async next(patience: Patience): Promise<Datagram | Failure> {
    const here = this.#take();
    if (here !== null) return here; // where more comes than is asked for, each costs little
    const item = await this.#wake.until(() => this.#take() ?? this.#end, patience);
    return item ?? new Failure("timeout");
  }

  #take(): Datagram | Failure | null {
    const item = this.#queue.shift();
    if (item === undefined) return null;
    this.#bytes -= costOf(item);
    return item;
  }
}

function costOf(item: Datagram | Failure): number {
  return OVERHEAD_BYTES + (item instanceof Failure ? 0 : item.bytes.length);
}
