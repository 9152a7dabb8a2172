/**
 * A name server on port 53 that knows the names it is given, `NAME=ADDRESS,...` each, and says of all others that there are none (RFC 1035).
 * IPv4 alone: of a known name it has no IPv6 address, and says so.
 */

const NO_ERROR = 0;
const NO_SUCH_NAME = 3;
const TYPE_A = 1;

const known = new Map(process.argv.slice(2).map((word) => word.split("=") as [string, string]));

/** The name asked for, and where its question ends. */
function questionOf(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at]!; length !== 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function answerTo(query: Buffer): Buffer {
  const { name, type, end } = questionOf(query);
  const addresses = known.get(name)?.split(",");
  const answer = Buffer.from(query.subarray(0, end));
  answer.writeUInt16BE(0x8580 | (addresses === undefined ? NO_SUCH_NAME : NO_ERROR), 2);
  answer.fill(0, 6, 12);
  if (addresses === undefined || type !== TYPE_A) return answer;
  answer.writeUInt16BE(addresses.length, 6);
  const records = addresses.flatMap((address) => [
    ...[0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 5, 0, 4],
    ...address.split(".").map(Number),
  ]);
  return Buffer.concat([answer, Buffer.from(records)]);
}

await Bun.udpSocket({
  hostname: "0.0.0.0",
  port: 53,
  socket: {
    data(socket, query, port, from) {
      socket.send(answerTo(query), port, from);
    },
  },
});

export {};
