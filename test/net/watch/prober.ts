/**
 * Asks a UDP echo from one source port, again and again, and prints a line for each silence when it ends: from the sending
 * of the first datagram that got no answer to that of the next that did, in ms; and by how much a datagram left late at
 * most since the silence before, for the machine may be busy. It shares nothing with `src/client`.
 *
 *     bun prober.ts 10.97.1.2 5678 10
 */
const [host = "", port = "", interval = ""] = process.argv.slice(2);
const intervalMs = Number(interval);

/** When each was sent that has no answer yet, by number. */
const sent = new Map<number, number>();
let newest = -1;
let isAnswered = false;
let latestMs = 0;

const socket = await Bun.udpSocket({
  socket: {
    data(_socket, bytes) {
      const number = Number(new TextDecoder().decode(bytes));
      const sentMs = sent.get(number);
      if (sentMs === undefined || number <= newest) return; // a banner, or an answer that another has overtaken
      if (!isAnswered) console.log("answered");
      const [sinceMs = sentMs] = [...sent]
        .filter(([other]) => other > newest && other < number)
        .map(([, ms]) => ms);
      if (sentMs - sinceMs > 0) {
        console.log(`silence ${Math.round(sentMs - sinceMs)} late ${Math.ceil(latestMs)}`);
        latestMs = 0;
      }
      isAnswered = true;
      newest = number;
      for (const other of [...sent.keys()]) if (other <= number) sent.delete(other);
    },
    error() {}, // refused: it is silence as well
  },
});

const startMs = performance.now();
for (let number = 0; ; number++) {
  await Bun.sleep(Math.max(0, startMs + number * intervalMs - performance.now()));
  const nowMs = performance.now();
  latestMs = Math.max(latestMs, nowMs - (startMs + number * intervalMs));
  sent.set(number, nowMs);
  try {
    socket.send(String(number), Number(port), host);
  } catch {
    // It did not leave, and gets no answer.
  }
}

export {};
