import { dlopen, ptr } from "bun:ffi";
import { parseAddress } from "../../src/net/address.ts";

/**
 * Forged UDP datagrams over IPv4, from a raw socket (raw(7), IP_HDRINCL): any source address and port, port 0 too,
 * which no ordinary socket can have. Needs CAP_NET_RAW.
 */

const AF_INET = 2;
const SOCK_RAW = 3;
/** An IPPROTO_RAW socket sends headers as they are given. */
const IPPROTO_RAW = 255;
const IPPROTO_UDP = 17;

const libc = dlopen("libc.so.6", {
  socket: { args: ["int", "int", "int"], returns: "int" },
  sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "i64" },
  close: { args: ["int"], returns: "int" },
});

interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** Sends one datagram as if `from` had. @throws without the permission to */
export function sendForged(from: HostPort, to: HostPort, payload: Uint8Array): void {
  const packet = new Uint8Array(28 + payload.length);
  const view = new DataView(packet.buffer);
  view.setUint8(0, 0x45); // version 4, five words of header; the kernel fills in lengths, id and checksum
  view.setUint8(8, 64); // time to live
  view.setUint8(9, IPPROTO_UDP);
  view.setInt32(12, parseAddress(from.address)!.a3);
  view.setInt32(16, parseAddress(to.address)!.a3);
  view.setUint16(20, from.port);
  view.setUint16(22, to.port);
  view.setUint16(24, 8 + payload.length); // the checksum behind it stays 0: none (RFC 768)
  packet.set(payload, 28);

  const name = new Uint8Array(16);
  new DataView(name.buffer).setUint16(0, AF_INET, true);
  name.set(packet.subarray(16, 20), 4);

  const fd = libc.symbols.socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) throw new Error("no raw socket: root or CAP_NET_RAW is needed");
  try {
    const sent = Number(libc.symbols.sendto(fd, ptr(packet), packet.length, 0, ptr(name), name.length));
    if (sent !== packet.length) throw new Error(`sendto of ${packet.length} bytes returned ${sent}`);
  } finally {
    libc.symbols.close(fd);
  }
}
