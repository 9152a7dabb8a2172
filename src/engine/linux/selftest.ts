import type { Pointer } from "bun:ffi";
import { Clock } from "../../state/clock.ts";
import { EpollSet, EVENT_FD_WORD } from "../../sys/epoll.ts";
import { EPOLL_CTL_ADD, EPOLLIN, loadLibc, SOCK_STREAM } from "../../sys/libc.ts";
import { nativeMemory } from "../../sys/memory.ts";
import { SOCKADDR_BYTES, Sockaddr, writeSockaddr } from "../../sys/sockaddr.ts";
import { type BoundSocket, bindUdp, listenTcp } from "../bind.ts";
import { LocalNumbers } from "../local-numbers.ts";
import { DatagramBatch } from "./batch.ts";

/**
 * Whether the Linux engine can work here: null, or the reason why not in a few words. Makes each kind of system
 * call once, on sockets of its own on loopback, and looks at what came back: wrong names (libc), wrong structure
 * layouts (architecture) and forbidden calls (seccomp) all show. About a millisecond.
 */
export function linuxEngineFault(): string | null {
  const opened: number[] = [];
  try {
    const libc = loadLibc();
    const epoll = new EpollSet();
    try {
      testEvents(epoll, opened);
      testUdp(opened);
      testTcp(opened);
    } finally {
      epoll.close();
      for (const fd of opened) libc.close(fd);
    }
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** An eventfd that was written to shows up in the epoll set, under its own descriptor. */
function testEvents(epoll: EpollSet, opened: number[]): void {
  const libc = loadLibc();
  const wake = libc.eventfd(1, 0);
  opened.push(wake);
  epoll.set(EPOLL_CTL_ADD, wake, EPOLLIN);
  if (epoll.wait(100) !== 1 || epoll.words[EVENT_FD_WORD] !== wake)
    throw new Error("epoll events are misread");
}

/** A datagram from a socket to itself, by way of a wildcard: received, read and answered by the batch. */
function testUdp(opened: number[]): void {
  const libc = loadLibc();
  const [socket] = bindUdp(["0.0.0.0"], 0, "alone") as [BoundSocket];
  opened.push(socket.fd);
  const [peer] = bindUdp(["127.0.0.1"], 0, "alone") as [BoundSocket];
  opened.push(peer.fd);
  const memory = nativeMemory(64);
  memory.bytes.set([1, 2, 3], 32);
  const length = writeSockaddr(memory.view, 0, socket.family, peer.address, socket.port);
  if (libc.connect(peer.fd, memory.address as Pointer, length) < 0) throw new Error("no loopback to test on");
  if (libc.send(peer.fd, (memory.address + 32) as Pointer, 3, 0) !== 3)
    throw new Error("send failed on loopback");
  const batch = new DatagramBatch(socket, new LocalNumbers(), new Clock());
  const received = batch.receive();
  if (received !== 1) throw new Error("recvmmsg does not work here");
  batch.read(0);
  const local = batch.server(0);
  if (
    batch.port !== peer.port ||
    batch.a3 !== peer.address.a3 ||
    batch.length !== 3 ||
    local.a3 !== peer.address.a3
  ) {
    throw new Error("datagram headers are misread");
  }
  if (batch.send(0, 1) !== 1) throw new Error("sendmmsg does not work here");
  if (libc.recv(peer.fd, (memory.address + 40) as Pointer, 8, 0) !== 3 || memory.bytes[42] !== 3) {
    throw new Error("a datagram came back changed");
  }
}

/** A connection to a listener of our own: accepted, its address read. */
function testTcp(opened: number[]): void {
  const libc = loadLibc();
  const [listener] = listenTcp(["127.0.0.1"], 0, "alone") as [BoundSocket];
  opened.push(listener.fd);
  const client = libc.socket(listener.family, SOCK_STREAM, 0);
  opened.push(client);
  const memory = nativeMemory(128);
  const length = writeSockaddr(memory.view, 0, listener.family, listener.address, listener.port);
  if (libc.connect(client, memory.address as Pointer, length) < 0) throw new Error("no loopback to test on");
  memory.words[16] = SOCKADDR_BYTES;
  const accepted = libc.accept4(listener.fd, memory.address as Pointer, (memory.address + 64) as Pointer, 0);
  if (accepted < 0) throw new Error("accept4 does not work here");
  opened.push(accepted);
  if (new Sockaddr().read(memory.view, 0).a3 !== listener.address.a3)
    throw new Error("addresses are misread");
}
