import { dlopen, FFIType, type Pointer, read } from "bun:ffi";
import { getSystemErrorName } from "node:util";

/**
 * The few libc calls that Bun has no door to. Linux only, 64-bit little-endian (x86-64, arm64), glibc or musl:
 * `loadLibc` says why where that is not what the process runs on. Calls return what the C function returns;
 * after -1 read `errno()` in the very next call. Lengths fit 31 bits, so results are read as int32.
 *
 * Pointers are plain numbers. Whatever is handed to libc beyond the call lies in memory made by `nativeMemory`,
 * which the collector neither moves nor frees.
 */

const { i32, u32, u64, ptr } = FFIType;

const SYMBOLS = {
  accept4: { args: [i32, ptr, ptr, i32], returns: i32 },
  bind: { args: [i32, ptr, u32], returns: i32 },
  clock_gettime: { args: [i32, ptr], returns: i32 },
  close: { args: [i32], returns: i32 },
  connect: { args: [i32, ptr, u32], returns: i32 },
  epoll_create1: { args: [i32], returns: i32 },
  epoll_ctl: { args: [i32, i32, i32, ptr], returns: i32 },
  epoll_wait: { args: [i32, ptr, i32, i32], returns: i32 },
  __errno_location: { args: [], returns: ptr },
  fcntl: { args: [i32, i32, i32], returns: i32 },
  eventfd: { args: [u32, i32], returns: i32 },
  getpeername: { args: [i32, ptr, ptr], returns: i32 },
  getsockname: { args: [i32, ptr, ptr], returns: i32 },
  getsockopt: { args: [i32, i32, i32, ptr, ptr], returns: i32 },
  if_nametoindex: { args: [ptr], returns: u32 },
  ioctl: { args: [i32, u64, ptr], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  madvise: { args: [u64, u64, i32], returns: i32 },
  memcmp: { args: [ptr, ptr, u64], returns: i32 },
  mmap: { args: [u64, u64, i32, i32, i32, u64], returns: ptr },
  munmap: { args: [ptr, u64], returns: i32 },
  poll: { args: [ptr, u64, i32], returns: i32 },
  read: { args: [i32, ptr, u64], returns: i32 },
  recv: { args: [i32, ptr, u64, i32], returns: i32 },
  recvmsg: { args: [i32, ptr, i32], returns: i32 },
  recvmmsg: { args: [i32, ptr, u32, i32, u64], returns: i32 },
  sched_setaffinity: { args: [i32, u64, ptr], returns: i32 },
  send: { args: [i32, ptr, u64, i32], returns: i32 },
  sendmmsg: { args: [i32, ptr, u32, i32], returns: i32 },
  sendmsg: { args: [i32, ptr, i32], returns: i32 },
  sendto: { args: [i32, ptr, u64, i32, ptr, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, ptr, u32], returns: i32 },
  shutdown: { args: [i32, i32], returns: i32 },
  socket: { args: [i32, i32, i32], returns: i32 },
  write: { args: [i32, ptr, u64], returns: i32 },
} as const;

/** The calls, as loaded. */
export type Libc = ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"] & {
  /** The error of the call just before this one, on this thread. */
  errno(): number;
};

const NAMES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];

let loaded: Libc | null = null;

/** libc of this process, loaded once. Throws where there is none that fits. */
export function loadLibc(): Libc {
  if (loaded !== null) return loaded;
  if (process.platform !== "linux") throw new Error(`not Linux but ${process.platform}`);
  if (process.arch !== "x64" && process.arch !== "arm64") throw new Error(`no layouts for ${process.arch}`);
  const symbols = openFirst(NAMES, (name) => dlopen(name, SYMBOLS).symbols);
  const location = symbols.__errno_location; // errno is a thread's own, and a Worker stays on its thread
  loaded = { ...symbols, errno: () => read.i32(location() as Pointer) };
  return loaded;
}

/**
 * What `open` makes of the first name that it can open.
 * @throws with every name, and why the first one failed: that is the one meant for most machines
 */
export function openFirst<T>(names: readonly string[], open: (name: string) => T): T {
  let first: unknown = null;
  for (const name of names) {
    try {
      return open(name);
    } catch (error) {
      first ??= error;
    }
  }
  const why = first instanceof Error ? first.message : String(first);
  throw new Error(`no libc could be loaded (tried ${names.join(", ")}): ${why}`);
}

/** Whether libc's calls can be made here. */
export function hasLibc(): boolean {
  try {
    loadLibc();
    return true;
  } catch {
    return false;
  }
}

/** `EBADF (9)` */
export function errnoText(errno: number): string {
  return `${getSystemErrorName(-errno)} (${errno})`;
}

/** Whether a call that failed so may be tried again later: the kernel has, or takes, nothing now; or a signal came. */
export function isTransient(errno: number): boolean {
  return errno === EAGAIN || errno === EINTR;
}

/** Constants of the Linux ABI that are the same on x86-64 and arm64. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_MEMINFO = 55;
/** When a packet came, as the kernel's wall clock had it: a `struct timespec`. Also the type of the control message. */
export const SO_TIMESTAMPNS = 35;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IP_TTL = 2;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_RECVFRAGSIZE = 25;
/** Don't-fragment on every datagram, whatever path MTU is known (ip(7)); the same number for IPv6. */
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_PROBE = 3;
export const IP_PMTUDISC_OMIT = 5;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVHOPLIMIT = 51;
export const IPV6_HOPLIMIT = 52;
export const IPV6_DONTFRAG = 62;
export const IPV6_RECVFRAGSIZE = 77;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_INFO = 11;
export const TCP_DEFER_ACCEPT = 9;
export const UDP_SEGMENT = 103;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const POLLOUT = 4;
export const POLLERR = 8;
export const EPOLL_CLOEXEC = 0x80000;
export const EFD_NONBLOCK_CLOEXEC = 0x80800;
export const F_DUPFD_CLOEXEC = 1030;
export const SHUT_WR = 1;
export const CLOCK_REALTIME = 0;
/** Who made an error that lies in an error queue: this machine, and no ICMP (linux/errqueue.h, SO_EE_ORIGIN_LOCAL). */
export const ORIGIN_LOCAL = 1;
/** ioctl(2) of a TCP socket (tcp(7)): bytes that came and were not read yet. */
export const SIOCINQ = 0x541b;
/** Bytes that were sent and not acknowledged yet; the FIN counts as one. */
export const SIOCOUTQ = 0x5411;
export const EPERM = 1;
export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EACCES = 13;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const EPIPE = 32;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const EAFNOSUPPORT = 97;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
export const ECONNREFUSED = 111;
export const EINPROGRESS = 115;

/** `struct epoll_event` is packed on x86-64 only: 12 bytes with the data at 4; elsewhere 16 with the data at 8. */
export const EPOLL_EVENT = process.arch === "x64" ? { size: 12, data: 4 } : { size: 16, data: 8 };
