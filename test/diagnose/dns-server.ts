import { parseAddress } from "../../src/net/address.ts";

/**
 * A small name server, on UDP port 53 of 127.0.0.1 (in a network of a test's own): `bun dns-server.ts '{"NAME": ["10.0.0.1", "fd00::1"]}'`.
 * It says `up` when it listens. Names that begin with `silent.` get no answer, with `failing.` SERVFAIL; others that it was not
 * told of do not exist.
 */

const A = 1;
const AAAA = 28;
const NO_ERROR = 0;
const SERVFAIL = 2;
const NXDOMAIN = 3;
const HEADER_BYTES = 12;

const zone: Readonly<Record<string, readonly string[]>> = JSON.parse(process.argv[2]!);

/** The name that is asked for, and where what follows it begins. */
function nameIn(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

/** An address as a record holds it, null where it is of the other kind. */
function dataOf(text: string, type: number): Buffer | null {
  const { a0, a1, a2, a3 } = parseAddress(text)!;
  const isV6 = text.includes(":");
  if (type !== (isV6 ? AAAA : A)) return null;
  const words = isV6 ? [a0, a1, a2, a3] : [a3];
  const bytes = Buffer.alloc(words.length * 4);
  for (const [at, word] of words.entries()) bytes.writeInt32BE(word, at * 4);
  return bytes;
}

/** A record of the name that was asked for (RFC 1035, 4.1.3 and 4.1.4). */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 + HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(1, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function answerTo(query: Buffer): Buffer | null {
  const { name, end } = nameIn(query);
  if (name.startsWith("silent.")) return null;
  const type = query.readUInt16BE(end);
  const code = name.startsWith("failing.") ? SERVFAIL : name in zone ? NO_ERROR : NXDOMAIN;
  const records = (zone[name] ?? []).map((text) => dataOf(text, type)).filter((data) => data !== null);
  const head = Buffer.alloc(HEADER_BYTES);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 + code, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  const question = query.subarray(HEADER_BYTES, end + 4);
  return Buffer.concat([head, question, ...records.map((data) => record(type, data))]);
}

await Bun.udpSocket({
  hostname: "127.0.0.1",
  port: 53,
  socket: {
    data(socket, query, port, address) {
      const answer = answerTo(query);
      if (answer !== null) socket.send(answer, port, address);
    },
    error() {},
  },
});
console.log("up");
