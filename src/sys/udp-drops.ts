import { readFileSync } from "node:fs";

/**
 * Datagrams that came to the sockets of a UDP port of this network and that the kernel threw away: the last column of
 * /proc/net/udp and udp6, which any user may read. Null where the port, or the table, is not there.
 */
export function udpDropsAt(port: number): number | null {
  let drops: number | null = null;
  for (const table of ["/proc/self/net/udp", "/proc/self/net/udp6"]) {
    for (const found of dropsIn(readOrNothing(table), port)) drops = (drops ?? 0) + found;
  }
  return drops;
}

/** Of each socket at that port, by a table's lines: `SL: ADDRESS:PORT REMOTE ... DROPS`, ends in hexadecimal. */
export function dropsIn(table: string, port: number): number[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const fields = line.trim().split(/ +/);
    const drops = Number(fields.at(-1));
    return fields[1]?.endsWith(end) && Number.isInteger(drops) ? [drops] : [];
  });
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // not Linux, or no /proc
  }
}
