import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { Protocol } from "./result.ts";

/** A flow's two ends, to be pasted into tcpdump, conntrack or a flow log: `udp 10.244.3.9:40112 > 10.96.0.7:5678`. */
export function flowText(protocol: Protocol, own: Endpoint, target: Endpoint): string {
  return `${protocol} ${formatEndpoint(own)} > ${formatEndpoint(target)}`;
}

/** `1,472` */
export function countText(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 datagram`, `20 datagrams` */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A time with three digits that count: `0.08 ms`, `12.3 ms`, `1.25 s`. */
export function timeText(ms: number): string {
  if (ms >= 999.5) return `${(ms / 1000).toPrecision(3)} s`;
  if (ms < 0.01) return `${ms.toFixed(3)} ms`;
  return `${ms < 1 ? ms.toFixed(2) : ms.toPrecision(3)} ms`;
}

/** `a`, `a and b`, `a, b and c` */
export function listText(items: readonly string[]): string {
  if (items.length <= 1) return items[0] ?? "";
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
