import type { Pointer } from "bun:ffi";
import { networkInterfaces } from "node:os";
import type { udp } from "bun";
import { formatAddress, formatEndpoint, parseAddress } from "../../rules/address.ts";
import type { Clock } from "../../rules/clock.ts";
import { UdpRules } from "../../rules/udp.ts";
import { loadLibc, nativeMemory, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../sys/libc.ts";
import type { LoopStart } from "../loop.ts";
import { AddressCache } from "./address-cache.ts";
import { bindError, descriptorOf, errorCode, onOnePort } from "./bind.ts";
import { UdpEndpoint } from "./udp.ts";

/** Kernel buffers of a UDP socket: a burst of some thousand datagrams must not be lost before the loop turns. */
const BUFFER_BYTES = 4 * 1024 * 1024;

/** How often addresses that came to the host or left it are looked for. */
const RESCAN_MS = 3000;

const REUSE_PORT = 4;

/** What Bun.udpSocket takes beside what its types say. */
interface UdpOptions extends udp.SocketOptions<"buffer"> {
  readonly flags: number;
}

/**
 * The UDP sockets of one loop. A wildcard host is one socket per local address, because Bun cannot say which address
 * a datagram went to and would answer from another; addresses that come and go are followed.
 */
export class BunUdp {
  readonly rules: UdpRules;
  readonly #start: LoopStart;
  readonly #addresses = new AddressCache();
  readonly #sockets = new Map<string, udp.Socket<"buffer">>();
  /** Numbers of local addresses, which an address keeps when it comes back: its sessions go on. */
  readonly #numbers = new Map<string, number>();
  #rescan: Timer | null = null;

  constructor(start: LoopStart, clock: Clock) {
    this.#start = start;
    this.rules = new UdpRules(start.settings, start.tables, start.index, clock);
  }

  /** Binds; resolves to the addresses. Throws StartError. */
  async bind(port: number): Promise<string[]> {
    const { hosts } = this.#start.settings;
    const bound = await onOnePort(port, (wanted) => this.#bindAll(wanted));
    this.rules.guardOwnPort(bound);
    if (hosts.some(isWildcard)) this.#rescan = setInterval(() => void this.#follow(bound), RESCAN_MS);
    return [...this.#sockets.keys()].map((host) => formatEndpoint(parseAddress(host)!, bound));
  }

  async #bindAll(wanted: number): Promise<number> {
    let port = wanted;
    try {
      for (const host of this.#wantedHosts()) port = (await this.#bindOne(host, port)) ?? port;
      return port;
    } catch (error) {
      this.#closeAll();
      throw error;
    }
  }

  /** Binds one address; the port, or null where the address is not to be had (and was not named by the user). */
  async #bindOne(host: string, port: number): Promise<number | null> {
    const endpoint = new UdpEndpoint(this.rules, this.#addresses, host, this.#numberOf(host));
    const options: UdpOptions = {
      hostname: host,
      port,
      flags: this.#start.shared ? REUSE_PORT : 0,
      socket: endpoint.handlers,
    };
    try {
      const socket = await Bun.udpSocket(options);
      endpoint.port = socket.port;
      raiseBuffers(descriptorOf(socket));
      this.#sockets.set(host, socket);
      return socket.port;
    } catch (error) {
      // An address of an interface may be gone again, or not be usable yet (RFC 4862, 5.4).
      if (errorCode(error) === "EADDRNOTAVAIL" && !this.#start.settings.hosts.includes(host)) return null;
      throw bindError("udp", host, port, error);
    }
  }

  #numberOf(host: string): number {
    const known = this.#numbers.get(host);
    if (known !== undefined) return known;
    const number = this.#numbers.size & 0xffff;
    this.#numbers.set(host, number);
    return number;
  }

  #wantedHosts(): Set<string> {
    const wanted = new Set<string>();
    for (const host of this.#start.settings.hosts) {
      if (!isWildcard(host)) wanted.add(host);
      else for (const address of localAddresses(host === "::")) wanted.add(address);
    }
    return wanted;
  }

  /** Follows the addresses of the host. */
  async #follow(port: number): Promise<void> {
    const wanted = this.#wantedHosts();
    for (const [host, socket] of this.#sockets) {
      if (wanted.has(host)) continue;
      socket.close();
      this.#sockets.delete(host);
    }
    for (const host of wanted) {
      // One that cannot be bound now (another process has the port) is tried again at the next look.
      if (!this.#sockets.has(host)) await this.#bindOne(host, port).catch(() => {});
    }
  }

  stop(): void {
    if (this.#rescan !== null) clearInterval(this.#rescan);
    this.#closeAll();
    this.rules.endAll("drained");
  }

  #closeAll(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** Every address of this host's interfaces, link-local ones with their zone. */
function localAddresses(both: boolean): string[] {
  const all = Object.entries(networkInterfaces());
  return all.flatMap(([name, entries]) =>
    (entries ?? [])
      .filter(({ family }) => both || family === "IPv4")
      .map(({ address }) => {
        const parsed = parseAddress(address)!;
        const linkLocal = parsed.a0 >>> 22 === 0xfe80 >>> 6;
        return linkLocal ? `${formatAddress(parsed)}%${name}` : formatAddress(parsed);
      }),
  );
}

/** Raises the kernel's buffers as far as it lets us (net.core.rmem_max), where libc can be called. */
function raiseBuffers(fd: number): void {
  if (fd < 0) return;
  try {
    const value = scratch();
    for (const option of [SO_RCVBUF, SO_SNDBUF]) {
      loadLibc().setsockopt(fd, SOL_SOCKET, option, value.address as Pointer, 4);
    }
  } catch {
    // Not Linux: the system's own sizes stay.
  }
}

let memory: ReturnType<typeof nativeMemory> | null = null;

function scratch(): ReturnType<typeof nativeMemory> {
  if (memory === null) {
    memory = nativeMemory(4);
    memory.words[0] = BUFFER_BYTES;
  }
  return memory;
}
