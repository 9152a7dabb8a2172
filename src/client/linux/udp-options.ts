import { isIPv4 } from "../../net/address.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import {
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_PMTUDISC_PROBE,
  IP_RECVERR,
  IP_RECVFRAGSIZE,
  IP_RECVTTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_DONTFRAG,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
  IPV6_RECVFRAGSIZE,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_TIMESTAMPNS,
  SOL_SOCKET,
} from "../../sys/libc.ts";
import { setOption } from "../../sys/socket.ts";
import { Failure } from "../failure.ts";
import type { UdpSocketOptions } from "../udp-socket.ts";

/**
 * Room in the kernel for some sixty of the largest datagrams, each way; it gives what it allows (net.core.rmem_max,
 * wmem_max).
 */
const BUFFER_BYTES = 4 * 1024 * 1024;

/** What a socket will tell of its datagrams that not every kernel can. */
export interface Tells {
  readonly fragments: boolean;
}

/** Who may cut a datagram; see `UdpSocketOptions`. */
type Cutting = Pick<UdpSocketOptions, "dontFragment" | "cuttable">;

/**
 * Has the kernel tell all that it knows of datagrams and of errors, and sets who may cut one (ip(7), IP_MTU_DISCOVER).
 */
export function setUdpOptions(fd: number, { address }: Endpoint, cutting: Cutting): Tells | Failure {
  // The first of each two is allowed to root alone (CAP_NET_ADMIN), and then has no bound.
  for (const options of [
    [SO_RCVBUFFORCE, SO_RCVBUF],
    [SO_SNDBUFFORCE, SO_SNDBUF],
  ] as const) {
    options.some((option) => setOption(fd, SOL_SOCKET, option, BUFFER_BYTES));
  }
  setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  return isIPv4(address) ? setIPv4(fd, cutting) : setIPv6(fd, cutting);
}

function setIPv4(fd: number, { dontFragment, cuttable }: Cutting): Tells | Failure {
  for (const option of [IP_RECVERR, IP_RECVTTL, IP_PKTINFO]) setOption(fd, IPPROTO_IP, option, 1);
  if (cuttable === true) setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  if (dontFragment && !setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)) return refused();
  return { fragments: setOption(fd, IPPROTO_IP, IP_RECVFRAGSIZE, 1) };
}

function setIPv6(fd: number, { dontFragment }: Cutting): Tells | Failure {
  for (const option of [IPV6_V6ONLY, IPV6_RECVERR, IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO]) {
    setOption(fd, IPPROTO_IPV6, option, 1);
  }
  // The second, since a sender of IPv6 cuts what its own link does not take (ipv6(7), RFC 3542, 11.2).
  const set =
    !dontFragment ||
    (setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_PROBE) &&
      setOption(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1));
  return set ? { fragments: setOption(fd, IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 1) } : refused();
}

function refused(): Failure {
  return new Failure("fault", 0, "the kernel does not set don't-fragment");
}
