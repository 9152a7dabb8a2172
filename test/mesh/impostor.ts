import { relayTo } from "./probe-servers.ts";

/** `bun impostor.ts AT SERVER TCP UDP`: whoever asks it is answered by that other server, in its words. Prints `up`. */
const [at = "", server = "", tcpPort = "", udpPort = ""] = process.argv.slice(2);
await relayTo(server, at, { tcpPort: Number(tcpPort), udpPort: Number(udpPort) });
console.log("up");
