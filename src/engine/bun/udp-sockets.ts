import type { udp } from "bun";
import { StartError } from "../../errors.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { type Endpoint, endpointOf } from "../../net/endpoint.ts";
import type { UdpRules } from "../../rules/udp.ts";
import { makeUdpRules } from "../../rules/udp-rated.ts";
import type { Clock } from "../../state/clock.ts";
import { hasLibc, IPPROTO_IP, IPPROTO_IPV6, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../sys/libc.ts";
import { ignorePathMtu, setOption } from "../../sys/socket.ts";
import type { BoundSocket } from "../bind.ts";
import type { BunLoopStart } from "../loop.ts";
import { AddressCache } from "./address-cache.ts";
import { bindError, descriptorOf, errorCode, onOnePort } from "./bind.ts";
import { onOwnDescriptor } from "./listen.ts";
import { addressesOf, isWildcard } from "./local-addresses.ts";
import { Scout, type Stray } from "./scout.ts";
import { UdpEndpoint } from "./udp.ts";

/** Kernel buffers of a UDP socket: a burst of some thousand datagrams must not be lost before the loop turns. */
const BUFFER_BYTES = 4 * 1024 * 1024;

/** How often addresses that came to the host or left it are looked for. */
const FOLLOW_MS = 3000;

/** Sockets for addresses that no interface lists. One more takes the place of the oldest. */
const LEARNED_MAX = 256;

/** Datagrams of a socket between two looks at everything else. */
const DATAGRAMS_PER_BEAT = 256;

/** SO_REUSEPORT, as Bun.udpSocket wants it told. */
const REUSE_PORT = 4;

/** `linux/in.h`, `linux/in6.h`. */
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;

/** What Bun.udpSocket takes beside what its types say. */
interface UdpOptions extends udp.SocketOptions<"buffer"> {
  readonly flags?: number;
  /** In place of address and port: a bound socket, which Bun closes in the end. */
  readonly fd?: number;
}

interface Bound {
  readonly socket: udp.Socket<"buffer">;
  readonly endpoint: UdpEndpoint;
}

/**
 * The UDP sockets of one loop. A wildcard host is one socket per local address, because Bun cannot say which address
 * a datagram went to and would answer from another. Addresses that come and go are followed, and a scout finds
 * those that are not listed.
 */
export class BunUdp {
  readonly rules: UdpRules;
  readonly #start: BunLoopStart;
  readonly #beat: () => void;
  readonly #clients = new AddressCache();
  readonly #bound = new Map<string, Bound>();
  readonly #binding = new Map<string, Promise<Bound | null>>();
  /** Those bound for the scout's sake, the oldest first. */
  readonly #learned = new Set<string>();
  /** Numbers of local addresses, which an address keeps when it comes back: its sessions go on. */
  readonly #numbers = new Map<string, number>();
  #scout: Scout | null = null;
  #port = 0;
  #followTimer: Timer | null = null;
  #stopped = false;

  /** @param beat called after so many datagrams: while they come without a pause, nothing else is */
  constructor(start: BunLoopStart, clock: Clock, beat: () => void) {
    this.#start = start;
    this.#beat = beat;
    this.rules = makeUdpRules(start.settings, start.tables, start.index, clock);
  }

  /** Binds; resolves to the addresses. Throws StartError. */
  async bind(port: number): Promise<Endpoint[]> {
    const { hosts } = this.#start.settings;
    const stranger = hosts.find((host) => parseAddress(host) === null);
    if (stranger !== undefined) throw new StartError(`udp: --host ${stranger} is not an IP address`);
    await onOnePort(port, (wanted) => this.#bindAll(wanted));
    this.rules.guardOwnPort(this.#port);
    if (hosts.some(isWildcard))
      this.#followTimer = setInterval(() => void this.#follow().catch(() => {}), FOLLOW_MS);
    const { sockets } = this.#start;
    if (sockets !== null) return [...sockets.udp];
    return [...this.#bound.keys()].map((host) => endpointOf(host, this.#port)!);
  }

  async #bindAll(wanted: number): Promise<void> {
    const given = this.#start.sockets?.udp ?? [];
    const wildcards = given.filter(({ wildcard }) => wildcard);
    this.#port = given[0]?.port ?? wanted;
    try {
      if (wildcards.length > 0) this.#scout = new Scout(wildcards);
      for (const host of addressesOf(this.#start.settings.hosts)) {
        await this.#bindOne(
          host,
          given.find((socket) => isAt(socket, host)),
        );
      }
    } catch (error) {
      this.#closeAll();
      throw error;
    }
  }

  /**
   * Binds one address, or takes over the socket that the control plane has bound to it; null where it is not to be had,
   * and the user did not name it.
   */
  async #bindOne(host: string, given?: BoundSocket): Promise<Bound | null> {
    const endpoint = new UdpEndpoint(this.rules, this.#clients, host, this.#numberOf(host));
    try {
      const socket = await this.#open(host, this.#beating(endpoint), given);
      this.#port = socket.port;
      endpoint.serverPort = socket.port;
      tune(descriptorOf(socket));
      const bound = { socket, endpoint };
      if (this.#stopped) socket.close();
      else this.#bound.set(host, bound);
      return bound;
    } catch (error) {
      // An address of an interface may be gone again, or not be usable yet (RFC 4862, 5.4).
      if (errorCode(error) === "EADDRNOTAVAIL" && !this.#start.settings.hosts.includes(host)) return null;
      throw bindError("udp", host, this.#port, error);
    }
  }

  #open(hostname: string, socket: UdpOptions["socket"], given?: BoundSocket): Promise<udp.Socket<"buffer">> {
    if (given !== undefined) {
      return onOwnDescriptor(given.fd, (fd) => Bun.udpSocket({ fd, socket } as UdpOptions));
    }
    const flags = this.#scout === null ? 0 : REUSE_PORT; // the scout has the port already
    return Bun.udpSocket({ hostname, port: this.#port, flags, socket } as UdpOptions);
  }

  /** The endpoint's handlers, which let the loop live between datagrams, and end it where there is a fault. */
  #beating({ handlers, receive }: UdpEndpoint): UdpOptions["socket"] {
    const beat = this.#beat;
    let left = DATAGRAMS_PER_BEAT;
    return {
      ...handlers,
      data: (socket, bytes, port, address) => {
        try {
          receive(socket, bytes, port, address);
          if (--left > 0) return;
          left = DATAGRAMS_PER_BEAT;
          beat();
        } catch (fault) {
          // Bun would give it to `error`, where nobody can tell it from the news of a dead peer.
          queueMicrotask(() => {
            throw fault;
          });
        }
      },
    };
  }

  #numberOf(host: string): number {
    const known = this.#numbers.get(host);
    if (known !== undefined) return known;
    const number = this.#numbers.size & 0xffff;
    this.#numbers.set(host, number);
    return number;
  }

  /** Follows the addresses of the host's interfaces. Rejects where they cannot be listed: out of descriptors, say. */
  async #follow(): Promise<void> {
    const wanted = addressesOf(this.#start.settings.hosts);
    for (const host of this.#bound.keys()) {
      if (wanted.has(host)) this.#learned.delete(host);
      else if (!this.#learned.has(host)) this.#close(host);
    }
    for (const host of wanted) {
      // One that cannot be bound now (another process has the port) is tried again at the next look.
      if (!this.#bound.has(host)) await this.#bindOnce(host).catch(() => null);
    }
  }

  /** To be called once per tick of the loop's clock. */
  tick(): void {
    this.rules.sweep();
    if (this.#scout === null) return;
    for (const stray of this.#scout.look()) void this.#adopt(stray).catch(() => {});
  }

  /** Answers a datagram to an address without a socket from a new one, which from here on hears all its datagrams. */
  async #adopt({ local, bytes, port, address }: Stray): Promise<void> {
    const bound = this.#bound.get(local) ?? (await this.#bindOnce(local).catch(() => null));
    if (bound === null || this.#stopped) return;
    if (!addressesOf(this.#start.settings.hosts).has(local)) this.#learned.add(local);
    bound.endpoint.receive(bound.socket, bytes, port, address);
    if (this.#learned.size > LEARNED_MAX) this.#close(this.#learned.values().next().value!);
  }

  #bindOnce(host: string): Promise<Bound | null> {
    const underWay = this.#binding.get(host);
    if (underWay !== undefined) return underWay;
    const binding = this.#bindOne(host).finally(() => this.#binding.delete(host));
    this.#binding.set(host, binding);
    return binding;
  }

  #close(host: string): void {
    this.#bound.get(host)?.socket.close();
    this.#bound.delete(host);
    this.#learned.delete(host);
  }

  /** Closes everything, and ends each session for `reason`. */
  stop(reason: "drained" | "worker_died"): void {
    this.#stopped = true;
    if (this.#followTimer !== null) clearInterval(this.#followTimer);
    this.#closeAll();
    this.rules.endAll(reason);
  }

  #closeAll(): void {
    for (const host of [...this.#bound.keys()]) this.#close(host);
    this.#scout = null;
  }
}

/** Whether the socket is bound to exactly this address. */
function isAt({ address, wildcard }: BoundSocket, host: string): boolean {
  const wanted = parseAddress(host);
  return !wildcard && wanted !== null && formatAddress(address) === formatAddress(wanted);
}

/**
 * Raises the kernel's buffers as far as it lets us (net.core.rmem_max). Takes IP_RECVERR back, which Bun sets: by
 * it the kernel fails a send to a healthy peer to tell that another one is dead. Keeps no path MTU over IPv4.
 */
function tune(fd: number): void {
  if (fd < 0 || !hasLibc()) return;
  setOption(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
  setOption(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
  ignorePathMtu(fd);
  setOption(fd, IPPROTO_IP, IP_RECVERR, 0);
  setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
}
