import { runWorld } from "./udp-worlds.ts";

/** As a process, for a network namespace with the addresses that its arguments name. It says `well`, or what is not. */
const locals6 = process.argv.slice(2);
for (const banner of [true, false])
  for (const faults of [0, 30])
    runWorld({ hosts: ["::"], banner, rate: 0, faults, refusals: 0, locals6 }, 4711 + faults, 60);
console.log("well");
