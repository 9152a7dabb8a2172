import type { Failure } from "../../../client/failure.ts";
import { FlowMessages } from "../../../client/flow-messages.ts";
import type { FlowKey } from "../../../client/payload.ts";
import type { Datagram } from "../../../client/udp-inbox.ts";
import { type Address, formatAddress } from "../../../net/address.ts";
import { type Banner, readBanner } from "../../../net/banner.ts";
import { type Endpoint, formatEndpoint, ownEndTo, sameAddressAndPort } from "../../../net/endpoint.ts";
import { LARGE_BYTES } from "./overrun.ts";
import type { NarrowSeen, NewsSeen, StrangerSeen, UdpFlowSeen } from "./seen.ts";

/** Who sends news or answers for others: so many are told apart, and what any more of them send is left out. */
const SENDERS_MAX = 8;

/**
 * A socket's buffer, of 200 KB or more, is filled by so many unasked datagrams, or by some large ones (socket(7),
 * net.core.rmem_default); by less than either it is not.
 */
const FLOOD = 100;

/** A banner is text: its first byte is below, that of any payload of this program is not. */
const NO_TEXT = 0x80;

/** What was thrown away on this machine, as `UdpFlow` has it. */
interface Dropped {
  readonly dropped: number;
  readonly droppedByKernel: number | null;
}

/** What a flow's messages are like. */
interface BookOptions {
  readonly size: number;
  readonly timeoutMs: number;
}

/** Books what one flow sends and gets. It knows no socket and reads no clock. Its memory does not grow with either. */
export class FlowBook {
  readonly messages: FlowMessages;
  banner: Banner | null = null;
  heard = false;
  /** Why a message did not leave, the first time. */
  notSent: Failure | null = null;
  /** When a message was answered at last, right or changed, by the clock of the arrivals; null before the first. */
  echoAtMs: number | null = null;
  readonly #target: Endpoint;
  readonly #size: number;
  readonly #crossed: (flow: number) => void;
  #crossedCount = 0;
  /** What came of strangers and is nobody's business. */
  #noise = 0;
  #firstBack: number | null = null;
  #to: Address | null = null;
  #ttl: number | null = null;
  #fragmentBytes: number | null = null;
  readonly #strangers = new Map<string, number>();
  readonly #news = new Map<string, NewsSeen>();
  #narrow: NarrowSeen | null = null;

  /** @param crossed told of each message of another flow that came to this one, with that flow's number */
  constructor(key: FlowKey, target: Endpoint, options: BookOptions, crossed: (flow: number) => void) {
    this.messages = new FlowMessages(key, options.size, options.timeoutMs);
    this.#target = target;
    this.#size = options.size;
    this.#crossed = crossed;
  }

  /** Whether ICMP told that it does not arrive. */
  get hasNews(): boolean {
    return this.#news.size > 0;
  }

  /** Something came, from whomever. */
  take(datagram: Datagram): void {
    const { from } = datagram;
    const asked = from !== null && sameAddressAndPort(from, this.#target);
    if (!this.#takeBanner(datagram) && !this.#takePayload(datagram, asked)) {
      this.#noise++;
      return;
    }
    const { to, ttl } = datagram;
    this.heard = true;
    this.#to ??= to;
    if (asked) this.#ttl = largest(this.#ttl, ttl);
    else this.#tellApart(datagram);
  }

  /** The socket told an error: most are ICMP's. */
  fail(failure: Failure): void {
    const { code, icmp, detail } = failure;
    if (icmp !== null && icmp.to !== null && !sameAddressAndPort(icmp.to, this.#target)) return;
    const by = icmp?.by ?? null;
    if (code === "too_big") {
      const { count } = this.#narrow ?? { count: 0 };
      this.#narrow = { mtu: icmp?.mtu ?? null, by, count: count + 1 };
      return;
    }
    const meaning = code === "refused" ? "refused" : "unreachable";
    const key = `${meaning} ${by === null ? "" : formatAddress(by)}`;
    const known = this.#news.get(key);
    if (known === undefined && this.#news.size >= SENDERS_MAX) return;
    this.#news.set(key, { code: meaning, by, detail, count: (known?.count ?? 0) + 1 });
  }

  /**
   * What is known of the flow now.
   * @param local this end as its socket has it
   * @param own this end's address as the system would choose it; null where it does not say
   * @returns where `astray` is 0: other flows know of that
   */
  seen(local: Endpoint, own: Address | null, { dropped, droppedByKernel }: Dropped): UdpFlowSeen {
    const address = this.#to ?? own;
    return {
      own: address === null ? null : ownEndTo(this.#target, address, local.port),
      counts: { ...this.messages.counts },
      notSent: this.notSent,
      astray: 0,
      crossed: this.#crossedCount,
      firstBack: this.#firstBack,
      heard: this.heard,
      banner: this.banner,
      ttl: this.#ttl,
      fragmentBytes: this.#fragmentBytes,
      strangers: [...this.#strangers].map(([from, count]): StrangerSeen => ({ from, count })),
      news: [...this.#news.values()],
      narrow: this.#narrow,
      dropped: dropped + (this.#mayOverrun() ? (droppedByKernel ?? 0) : 0),
    };
  }

  /**
   * Whether so much came that the kernel may have had no room for more. If not, what it threw away had a wrong checksum,
   * which some kernels count as well, and is a loss of the path.
   */
  #mayOverrun(): boolean {
    const { duplicated, foreign } = this.messages.counts;
    return this.#noise + duplicated + foreign >= FLOOD || this.#size >= LARGE_BYTES;
  }

  /** A stranger's too: it is that of the server that answers in the place of the one asked. */
  #takeBanner({ bytes }: Datagram): boolean {
    if (bytes.length === 0 || bytes[0]! >= NO_TEXT) return false;
    const banner = readBanner(bytes);
    this.banner ??= banner;
    return banner !== null;
  }

  /** Books a payload; false where a stranger's is none that was sent from here, so nobody's business. */
  #takePayload(datagram: Datagram, asked: boolean): boolean {
    if (!asked && this.messages.read(datagram.bytes).kind === "foreign") return false;
    const { bytes, atMs } = datagram;
    const { what, number, flow } = this.messages.take(bytes, atMs);
    if (what === "crossed" && flow !== null) {
      this.#crossedCount++;
      this.#crossed(flow);
    }
    // A flood, of doubles or of anything else that is more than was sent, is not waited for to end.
    const { corrupted, sent } = this.messages.counts;
    const answers = what === "answered" || what === "late" || (what === "corrupted" && corrupted <= sent);
    if (answers) this.echoAtMs = atMs;
    if (number !== null) {
      this.#firstBack = Math.min(number, this.#firstBack ?? number);
      this.#fragmentBytes = largest(this.#fragmentBytes, datagram.fragmentBytes);
    }
    return true;
  }

  #tellApart({ from }: Datagram): void {
    if (from === null) return;
    const name = formatEndpoint(from);
    if (this.#strangers.has(name) || this.#strangers.size < SENDERS_MAX) {
      this.#strangers.set(name, (this.#strangers.get(name) ?? 0) + 1);
    }
  }
}

function largest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}
