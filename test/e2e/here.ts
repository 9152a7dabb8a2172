/** What this machine itself loses of what comes to it: a datagram on its way may be part of that. */

/** Packets that its kernel has thrown away because a core had too many waiting (softnet_stat, column 2). */
export async function packetsDroppedHere(): Promise<number> {
  const rows = (await Bun.file("/proc/net/softnet_stat").text()).trim().split("\n");
  return rows.reduce((sum, row) => sum + Number.parseInt(row.split(/\s+/)[1]!, 16), 0);
}

/** Counters of IPv4 datagrams that its kernel did not hand to a socket (`Udp:` in /proc/net/snmp), in one line. */
export async function udpErrorsHere(): Promise<string> {
  const [names, values] = (await Bun.file("/proc/net/snmp").text())
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  return names!
    .flatMap((name, at) => (/Errors|NoPorts/.test(name) ? `${name} ${values![at]}` : []))
    .join(", ");
}
