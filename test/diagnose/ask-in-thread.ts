import { endpoint } from "../client/fixtures.ts";
import { askInThread } from "./ask.ts";

/**
 * Asks somebody who does not answer, in a thread, from inside a process of its own where something is broken on purpose,
 * and prints what became of it: what is wrong as the task says it, or what was thrown. `ask-in-thread.ts [--signal]`: with
 * the option the process sends itself SIGUSR1 when the thread has begun to ask.
 */
const onEvent = (): void => {
  if (process.argv.includes("--signal")) process.kill(process.pid, "SIGUSR1");
};
const mute = await Bun.udpSocket({ hostname: "127.0.0.1", socket: { data() {} } });
const { signal } = new AbortController();
const options = { signal, onEvent, bySystemCalls: true };
const said = await askInThread(endpoint(`127.0.0.1:${mute.port}`), options, { timeoutMs: 1000 }).then(
  (result) => result?.problems.map(({ code, says }) => `${code}: ${says}`).join("; "),
  (error) => `thrown ${error.message}`,
);
console.log(said);
mute.close();
