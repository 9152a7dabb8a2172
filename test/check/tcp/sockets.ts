import { bunSockets } from "../../../src/client/bun/sockets.ts";
import { linuxSockets } from "../../../src/client/linux/sockets.ts";
import type { Sockets } from "../../../src/client/sockets.ts";

/** Every way of making sockets that there is on this machine. */
export const SOCKETS: [string, Sockets][] = [["Bun's sockets", bunSockets()]];
const byCalls = linuxSockets();
if (byCalls !== null) SOCKETS.unshift(["system calls", byCalls]);
