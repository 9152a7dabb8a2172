import { Clock } from "../../src/state/clock.ts";
import { SeenClients } from "../../src/state/seen-clients.ts";
import type { SharedTables } from "../../src/state/shared.ts";

/** A Worker that begins and ends sessions of 40 clients as fast as it can: all words of one's address are its port. */

declare const self: Worker;

const SLOTS = 16;

self.onmessage = ({ data: tables }: MessageEvent<SharedTables>): void => {
  const seen = new SeenClients(tables, 0, "udp", SLOTS, new Clock());
  const isOpen = new Array<boolean>(SLOTS).fill(false);
  for (let turn = 0; ; turn++) {
    const slot = (turn * 7) % SLOTS;
    const word = 1 + ((turn * 31) % 40);
    if (isOpen[slot]) seen.end(slot);
    else seen.begin(slot, { a0: word, a1: word, a2: word, a3: word }, word);
    isOpen[slot] = !isOpen[slot];
    if (turn === 1000) self.postMessage("writes");
  }
};
