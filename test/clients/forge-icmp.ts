import { dlopen, ptr } from "bun:ffi";
import { parseAddress } from "../../src/net/address.ts";

/**
 * A lie about the way, as a process for another network namespace: `forge-icmp.ts SERVER PORT CLIENT PORT MTU` tells
 * the server that its datagrams to that client are too long (RFC 792, 1191). It needs CAP_NET_RAW, and stands in no
 * way of the two.
 */
const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;

const libc = dlopen("libc.so.6", {
  socket: { args: ["int", "int", "int"], returns: "int" },
  sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "i64" },
});

const [server, serverPort, client, clientPort, mtu] = process.argv.slice(2);
const message = new Uint8Array(8 + 28);
const view = new DataView(message.buffer);
view.setUint8(0, 3); // destination unreachable:
view.setUint8(1, 4); // fragmentation needed
view.setUint16(6, Number(mtu));
view.setUint8(8, 0x45); // the server's datagram, as if it had been seen: its IP header
view.setUint16(10, 1028);
view.setUint16(14, 0x4000); // do not fragment
view.setUint8(16, 64);
view.setUint8(17, 17);
view.setInt32(20, parseAddress(server!)!.a3);
view.setInt32(24, parseAddress(client!)!.a3);
view.setUint16(28, Number(serverPort)); // and its UDP header
view.setUint16(30, Number(clientPort));
view.setUint16(32, 1008);
view.setUint16(2, checksum(view));

const name = new DataView(new ArrayBuffer(16));
name.setUint16(0, AF_INET, true);
name.setInt32(4, parseAddress(server!)!.a3);
const fd = libc.symbols.socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
const sent = libc.symbols.sendto(fd, ptr(message), message.length, 0, ptr(name.buffer), 16);
if (Number(sent) !== message.length) throw new Error("no raw socket: root or CAP_NET_RAW is needed");

/** RFC 1071. */
function checksum(data: DataView): number {
  let sum = 0;
  for (let at = 0; at < data.byteLength; at += 2) sum += data.getUint16(at);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
