import { Banner, bannerBytesMax } from "../../rules/banner.ts";
import type { UdpRules } from "../../rules/udp.ts";
import { makeUdpRules } from "../../rules/udp-rated.ts";
import { DROP, ECHO, FIRST, PROBE, SUSPECT, type UdpVerdict } from "../../rules/udp-verdict.ts";
import type { Clock } from "../../state/clock.ts";
import { COUNTER } from "../../state/counters.ts";
import type { EpollSet } from "../../sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT } from "../../sys/libc.ts";
import { nativeMemory } from "../../sys/memory.ts";
import type { BoundSocket } from "../bind.ts";
import { LocalNumbers } from "../local-numbers.ts";
import type { LoopStart } from "../loop.ts";
import { DatagramBatch } from "./batch.ts";
import { BATCH } from "./batch-layout.ts";

/** Batches received per socket and turn: a flood must not keep the other sockets waiting. */
const BATCHES_PER_TURN = 4;

/**
 * UDP on one epoll loop. Datagrams come in batches by recvmmsg(2), are judged one by one by the rules, and go back
 * by sendmmsg(2) from where they lie, to the address they came from and from the address they went to. Where the
 * kernel takes no more, the batch waits for EPOLLOUT as it stands, and nothing is received meanwhile.
 *
 * These sockets are not connected and do not ask for IP_RECVERR, so an ICMP error that a dead peer sends back
 * reaches nobody (udp(7)): it can cost neither a healthy peer's echo nor the process its life.
 */
export class LinuxUdp {
  readonly rules: UdpRules;
  readonly #epoll: EpollSet;
  readonly #sockets = new Map<number, UdpSocket>();

  constructor(start: LoopStart, clock: Clock, epoll: EpollSet, sockets: readonly BoundSocket[]) {
    this.#epoll = epoll;
    const { bannerFields } = start.settings;
    const banner = nativeMemory(bannerBytesMax(bannerFields));
    this.rules = makeUdpRules(
      start.settings,
      start.tables,
      start.index,
      clock,
      new Banner(bannerFields, banner.bytes),
    );
    const locals = new LocalNumbers();
    for (const socket of sockets) {
      this.rules.guardOwnPort(socket.port);
      const batch = new DatagramBatch(socket, locals, clock);
      this.#sockets.set(socket.fd, new UdpSocket(batch, this.rules, banner.address));
      epoll.set(EPOLL_CTL_ADD, socket.fd, EPOLLIN);
    }
  }

  /** The socket has datagrams, or room for answers that wait. */
  ready(fd: number): void {
    const socket = this.#sockets.get(fd)!;
    const wasBlocked = socket.blocked;
    if (wasBlocked) socket.writable();
    else socket.readable();
    if (socket.blocked !== wasBlocked) {
      this.#epoll.set(EPOLL_CTL_MOD, fd, socket.blocked ? EPOLLOUT : EPOLLIN);
    }
  }
}

/** One bound socket, its batch, and how far the batch is answered. */
class UdpSocket {
  /** The kernel took no more: answers wait. */
  blocked = false;
  readonly #rules: UdpRules;
  readonly #batch: DatagramBatch;
  readonly #bannerAddress: number;
  /** Every datagram of the batch is echoed, one by one, as most batches are: verdicts and runs are then of an earlier one. */
  #isPlain = false;
  readonly #verdicts = new Uint8Array(BATCH);
  /** How many datagrams from this one on are alike; known only where the batch is not plain. */
  readonly #runs = new Uint8Array(BATCH);
  /** The banner of the datagram at `#at` is granted and paid for, and not sent yet: the kernel took no more. */
  #isGranted = false;
  #count = 0;
  /** The next datagram to be answered. */
  #at = 0;

  constructor(batch: DatagramBatch, rules: UdpRules, bannerAddress: number) {
    this.#rules = rules;
    this.#batch = batch;
    this.#bannerAddress = bannerAddress;
  }

  /** The kernel takes more: answers the rest of the batch, and then receives. */
  writable(): void {
    if (this.#answer()) this.readable();
  }

  /** The hot path: receives and answers up to BATCHES_PER_TURN batches. */
  readable(): void {
    for (let batches = 0; batches < BATCHES_PER_TURN; batches++) {
      this.#count = this.#batch.receive();
      if (this.#count <= 0) return;
      this.#at = 0;
      this.#isPlain = this.#judge();
      if (!this.#answer() || this.#count < BATCH) return;
    }
  }

  /** Finds the verdict on each datagram. True where the batch is plain: nothing is noted then. */
  #judge(): boolean {
    const batch = this.#batch;
    let known = this.#rules.known(batch.rows, 0, this.#count);
    if (known === this.#count && !batch.hasNotes) return true;
    for (let at = 0; at < this.#count; at++) {
      if (at < known) this.#verdicts[at] = ECHO;
      else {
        this.#verdicts[at] = this.#ask(at);
        known = this.#rules.known(batch.rows, at + 1, this.#count);
      }
    }
    this.#findRuns();
    return false;
  }

  /** Asks the rules about datagram `at`. */
  #ask(at: number): UdpVerdict {
    const batch = this.#batch;
    const rules = this.#rules;
    batch.read(at);
    const { a0, a1, a2, a3, port, local, length } = batch;
    if (batch.broadcast) return rules.dropUnseen("broadcast", length);
    const verdict = rules.admit(a0, a1, a2, a3, port, local, length);
    return verdict === SUSPECT ? rules.inspect(batch.payloads, batch.payloadAt(at)) : verdict;
  }

  /** Finds how many alike follow each datagram, itself included. */
  #findRuns(): void {
    let alike = 1;
    for (let at = this.#count - 1; at >= 0; at--) {
      this.#runs[at] = alike;
      alike = this.#batch.follows(at) && this.#verdicts[at] === ECHO ? alike + 1 : 1;
    }
  }

  /** Answers the batch from where it stands. False when the kernel takes no more. */
  #answer(): boolean {
    const answered = this.#isPlain ? this.#sendRun(this.#count) : this.#answerEach();
    this.blocked = !answered;
    return answered;
  }

  #answerEach(): boolean {
    while (this.#at < this.#count) {
      const verdict = this.#verdicts[this.#at]!;
      if (verdict === DROP) this.#at++;
      else if (verdict === PROBE) this.#echoUncounted();
      else if (verdict === FIRST) {
        if (!this.#greet()) return false;
      } else if (!this.#echo()) return false;
    }
    return true;
  }

  /** Echoes from `#at` on: a run of like datagrams as segments of one, others one by one. */
  #echo(): boolean {
    if (this.#segmentable(this.#at)) {
      const sent = this.#batch.sendSegmented(this.#at, this.#runs[this.#at]!);
      if (sent > 0) this.#sent(sent);
      if (sent >= 0) return sent > 0;
    }
    let end = this.#at + 1;
    while (end < this.#count && this.#verdicts[end] === ECHO && !this.#segmentable(end)) end++;
    return this.#sendRun(end);
  }

  /** The server's own probe: where the kernel takes no more, it asks again. */
  #echoUncounted(): void {
    this.#batch.send(this.#at, 1);
    this.#at++;
  }

  #segmentable(at: number): boolean {
    return this.#batch.canSegment(at, this.#runs[at]!);
  }

  /** Echoes the datagrams from `#at` up to `end`. False when the kernel takes no more. */
  #sendRun(end: number): boolean {
    while (this.#at < end) {
      const sent = this.#batch.send(this.#at, end - this.#at);
      if (sent === 0) return false;
      if (sent < 0) {
        this.#rules.countDrop("send_failed"); // this one cannot go (no route, refused by a filter): the next may
        this.#at++;
        continue;
      }
      this.#sent(sent);
    }
    return true;
  }

  /** The next `count` datagrams went back. */
  #sent(count: number): void {
    const counters = this.#rules.counters;
    let bytes = 0;
    for (const end = this.#at + count; this.#at < end; this.#at++) bytes += this.#batch.lengthOf(this.#at);
    counters[COUNTER.udpSentDatagrams]! += count;
    counters[COUNTER.udpSentBytes]! += bytes;
  }

  /** Sends the banner of the datagram at `#at`, whose echo then follows. False when the kernel takes no more. */
  #greet(): boolean {
    const batch = this.#batch;
    batch.read(this.#at);
    const { serverPort } = batch;
    const server = batch.server(this.#at);
    const length = this.#isGranted
      ? this.#rules.banners.rewrite(server, serverPort, batch, batch.port)
      : this.#rules.banners.grant(server, serverPort, batch, batch.port, batch.length);
    if (length > 0) {
      const sent = batch.sendSpare(this.#at, this.#bannerAddress, length);
      if (sent === 0) {
        this.#isGranted = true;
        return false;
      }
      if (sent < 0) this.#rules.countDrop("send_failed");
      else {
        this.#rules.counters[COUNTER.udpSentDatagrams]! += 1;
        this.#rules.counters[COUNTER.udpSentBytes]! += length;
      }
    }
    this.#isGranted = false;
    this.#verdicts[this.#at] = ECHO;
    return true;
  }
}
