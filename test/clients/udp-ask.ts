import { UdpClient } from "./udp.ts";

/**
 * A UDP client as a process, for another network namespace: `udp-ask.ts HOST PORT FROM WORD...` asks with one word
 * after the other and prints all answers, the banner first, as JSON.
 */
const [host, port, from, ...words] = process.argv.slice(2);
using client = await UdpClient.open(Number(port), { host: host!, from: from! });
for (const [at, word] of words.entries()) {
  client.send(word);
  await client.receives(at + 2);
}
console.log(JSON.stringify(client.texts));
