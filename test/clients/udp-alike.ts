import { parseAddress } from "../../src/net/address.ts";
import { loadLibc } from "../../src/sys/libc.ts";
import { SyncUdp } from "./sync-udp.ts";

/**
 * A UDP client as a process, for another network namespace: `udp-alike.ts ADDRESS PORT INTERFACE SERVER SERVER_PORT LETTER`. For
 * the line `send` it sends eight datagrams of that letter and says `sent`; for the next it says which letters came, once eight did.
 */
const [address, port, device, server, serverPort, letter] = process.argv.slice(2);
const scope = loadLibc().if_nametoindex(Buffer.from(`${device}\0`));
using client = new SyncUdp(parseAddress(address!)!, Number(port), scope);
let letters = "";
for await (const line of console) {
  if (line === "send") {
    for (let at = 0; at < 8; at++)
      client.send(parseAddress(server!)!, Number(serverPort), Buffer.alloc(64, letter));
    console.log("sent");
  } else {
    while (letters.length < 8) {
      for (const { bytes } of client.receiveAll()) letters += bytes.toString("latin1", 0, 1);
      await Bun.sleep(1);
    }
    console.log(letters);
  }
}
