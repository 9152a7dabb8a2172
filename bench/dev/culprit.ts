/** What is done to messages on purpose, and when: the same over TCP and UDP. */

/** What is done to some messages instead of sending them back as they came. */
export type Fault =
  | "none"
  /** One byte is another one. */
  | "corrupt"
  | "drop"
  | "duplicate"
  /** Sent behind the next one of its session. */
  | "reorder"
  /** Sent 300 ms later, behind many others. */
  | "overtaken"
  /** Sent to another session. */
  | "foreign"
  /** Sent without its last ten bytes (TCP). */
  | "cut short"
  /** 300 messages in a row are dropped, once. */
  | "burst"
  /** Every message is dropped, for one second. */
  | "outage"
  /** Sent 300 ms later, as long as it goes on. */
  | "delay"
  /** Every message is answered, right, 2.5 s later. */
  | "slow"
  /** Goes on reading, and holds its answers back for one second of every four. */
  | "stall"
  /** Every session is closed, once (TCP). */
  | "close"
  /** The server goes away. */
  | "gone"
  /** Nothing is read any more (TCP). */
  | "deaf";

export const MESSAGE_BYTES = 64;
export const DELAY_MS = 300;

/** One message in so many is wrong, so many times in all (but delayed as long as it goes on). */
const ONE_IN = 25;
const FAULTS_MAX = 10;

/** What happens once happens after so many messages, and the bench has warmed up. */
const ONCE_AFTER = 500;
const BURST = 300;
const OUTAGE_MS = 1000;
const SLOW_MS = 2500;
const STALL_MS = 1000;
const STALL_EVERY_MS = 4000;
const CUT_BYTES = 10;

/** One session, as a culprit sees it. */
export interface Peer {
  send(bytes: Uint8Array): void;
  /** Sends messages one after the other, as cheaply as the protocol lets it. */
  sendAll(messages: readonly Uint8Array[]): void;
  close(): void;
  stopReading(): void;
  /** A message that waits for the next one. */
  held: Uint8Array | null;
}

/** Decides what becomes of each message. */
export class Culprit {
  faults = 0;
  messages = 0;
  onMessage = (): void => {};
  goAway = (): void => {};
  readonly peers = new Set<Peer>();
  readonly #sinceMs = performance.now();
  #outageMs = 0;
  /** Answers held back, in order, and the timer that lets them go. */
  readonly #stalled = new Map<Peer, Uint8Array[]>();
  #timer: Timer | null = null;

  constructor(readonly fault: Fault) {}

  answer(message: Uint8Array, peer: Peer): void {
    this.messages++;
    this.peers.add(peer);
    this.onMessage();
    if (this.#everyMessage(message, peer)) return;
    if (peer.held === null && this.#mayFail() && this.messages % ONE_IN === 0 && this.#spoil(message, peer)) {
      this.faults++;
      return;
    }
    peer.send(message);
    const { held } = peer;
    peer.held = null;
    if (held !== null) peer.send(held);
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Faults that are not of single messages; true where the message is taken care of. */
  #everyMessage(message: Uint8Array, peer: Peer): boolean {
    switch (this.fault) {
      case "burst":
        if (this.messages <= ONCE_AFTER || this.faults === BURST) return false;
        this.faults++;
        return true;
      case "outage":
        return this.#outage();
      case "slow":
        this.faults++;
        setTimeout((late) => peer.send(late), SLOW_MS, message.slice());
        return true;
      case "stall":
        return this.#stall(message, peer);
      case "close":
        if (this.messages !== ONCE_AFTER) return false;
        this.faults = this.peers.size;
        for (const each of this.peers) each.close();
        return true;
      case "gone":
        if (this.messages === ONCE_AFTER) this.goAway();
        this.faults = 1;
        return this.messages >= ONCE_AFTER;
      case "deaf":
        if (this.messages < ONCE_AFTER) return false;
        peer.stopReading();
        this.faults = Math.max(this.faults, this.peers.size);
        return false;
      default:
        return false;
    }
  }

  #outage(): boolean {
    if (this.messages <= ONCE_AFTER) return false;
    const now = performance.now();
    this.#outageMs ||= now;
    if (now - this.#outageMs > OUTAGE_MS) return false;
    this.faults++;
    return true;
  }

  #stall(message: Uint8Array, peer: Peer): boolean {
    const into = (performance.now() - this.#sinceMs) % STALL_EVERY_MS;
    if (into >= STALL_MS && this.#stalled.size === 0) return false;
    const held = this.#stalled.get(peer) ?? [];
    this.#stalled.set(peer, held);
    held.push(message.slice());
    this.#timer ??= setTimeout(() => this.#release(), STALL_MS - into);
    return true;
  }

  #release(): void {
    const left = STALL_MS - ((performance.now() - this.#sinceMs) % STALL_EVERY_MS);
    this.#timer = left > 0 ? setTimeout(() => this.#release(), left) : null; // timers may be early
    if (left > 0) return;
    for (const [peer, messages] of this.#stalled) peer.sendAll(messages);
    this.#stalled.clear();
    this.faults++;
  }

  #mayFail(): boolean {
    return this.fault === "delay" || this.faults < FAULTS_MAX;
  }

  /** Whether something was done in place of sending the message back. */
  #spoil(message: Uint8Array, peer: Peer): boolean {
    const copy = message.slice();
    switch (this.fault) {
      case "corrupt":
        copy[MESSAGE_BYTES / 2]! ^= 1;
        peer.send(copy);
        return true;
      case "drop":
        return true;
      case "duplicate":
        peer.send(copy);
        peer.send(copy);
        return true;
      case "reorder":
        peer.held = copy;
        return true;
      case "cut short":
        peer.send(copy.subarray(0, MESSAGE_BYTES - CUT_BYTES));
        return true;
      case "overtaken":
      case "delay":
        setTimeout(() => peer.send(copy), DELAY_MS);
        return true;
      case "foreign": {
        const other = [...this.peers].find((each) => each !== peer);
        other?.send(copy);
        return other !== undefined;
      }
      default:
        return false;
    }
  }
}
