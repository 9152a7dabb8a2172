import { runTask } from "../../src/diagnose/thread.ts";
import { endpoint } from "../client/fixtures.ts";

/**
 * Asks somebody who does not answer, in a thread, from inside a process of its own where something is broken on purpose,
 * and prints what became of it: the answer's failure, or what was thrown. `ask-in-thread.ts [--signal]`: with the option the
 * process sends itself SIGUSR1 when the thread has begun to ask.
 */
const onEvent = (): void => {
  if (process.argv.includes("--signal")) process.kill(process.pid, "SIGUSR1");
};
const mute = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data() {} } });
const ask = { target: endpoint(`127.0.0.1:${mute.port}`), size: 64, timeoutMs: 1000 };
const { signal } = new AbortController();
const said = await runTask("udp-ask", ask, { signal, onEvent, bySystemCalls: true }).then(
  ({ failure }) => `failure ${failure}`,
  (error) => `thrown ${error.message}`,
);
console.log(said);
mute.close();
