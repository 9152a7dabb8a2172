import { closeLinuxSockets, linuxSockets } from "../../../src/client/linux/sockets.ts";
import type { Asked, CheckSettings } from "../../../src/diagnose/check/plan.ts";
import { checkUdp } from "../../../src/diagnose/check/udp.ts";

/** A thread whose loop is that of sockets by system calls: asks what it is told to, and tells the result. */

declare const self: Worker;

self.onmessage = async ({ data }: MessageEvent<{ asked: Asked; settings: CheckSettings }>) => {
  const sockets = linuxSockets();
  if (sockets === null) throw new Error("no libc");
  const { signal } = new AbortController();
  const result = await checkUdp(data.asked, { settings: data.settings, sockets, signal, progress() {} });
  closeLinuxSockets();
  postMessage(result);
};
