import type { Cell } from "./run/types.ts";

const cell = (scenario: string, protocol: "tcp" | "udp", parts: Partial<Cell>): Cell => ({
  scenario,
  protocol,
  mode: "echo",
  connections: 50,
  size: 64,
  inFlight: 1,
  rate: 0,
  ...parts,
});

/** A scenario: what it is, and the cells that make it. `together` cells run at the same time. */
export interface Scenario {
  readonly about: string;
  readonly cells: readonly Cell[];
  readonly together?: true;
}

/** The scenarios by name, in the order in which they run. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "tcp-ping": {
    about: "64 B, one in flight on each connection: 50, 1,000 and 10,000 of them",
    cells: [50, 1000, 10_000].map((connections) => cell("tcp-ping", "tcp", { connections })),
  },
  "tcp-pipeline": {
    about: "64 B, 16 in flight on each of 50 connections",
    cells: [cell("tcp-pipeline", "tcp", { inFlight: 16 })],
  },
  "tcp-bulk": {
    about: "16 KiB on 50 connections, 64 KiB on 16",
    cells: [
      cell("tcp-bulk", "tcp", { size: 16_384 }),
      cell("tcp-bulk", "tcp", { size: 65_536, connections: 16 }),
    ],
  },
  "tcp-churn": {
    about: "connect, banner, one echo of 64 B, close; 16 at a time",
    cells: [cell("tcp-churn", "tcp", { mode: "churn", connections: 16 })],
  },
  "tcp-idle": {
    about: "10,000 connections that say nothing: memory of each, CPU of all",
    cells: [cell("tcp-idle", "tcp", { mode: "idle", connections: 10_000 })],
  },
  "udp-ping": {
    about: "64 B and 1,400 B over 50 sockets, one in flight on each",
    cells: [64, 1400].map((size) => cell("udp-ping", "udp", { size, inFlight: 50 })),
  },
  "udp-window": {
    about: "64 B and 1,400 B over 50 sockets, 64 in flight in all",
    cells: [64, 1400].map((size) => cell("udp-window", "udp", { size, inFlight: 64 })),
  },
  mixed: {
    about: "TCP 64 B, TCP 16 KiB and UDP 64 B at the same time",
    cells: [
      cell("mixed", "tcp", {}),
      cell("mixed", "tcp", { size: 16_384, connections: 8 }),
      cell("mixed", "udp", { inFlight: 16, connections: 16 }),
    ],
    together: true,
  },
};

/** Sessions grow: what one costs, and a message, as they do. Not part of a run without arguments. */
export const SCALE: Scenario = {
  about: "cost per message and per idle session from 100 to 15,000 TCP and 60,000 UDP sessions",
  cells: [
    ...[100, 1000, 5000, 10_000, 15_000].map((connections) => cell("scale", "tcp", { connections })),
    // With fewer, what the collector does meanwhile is larger than what the sessions cost.
    ...[5000, 10_000, 15_000].map((connections) => cell("scale", "tcp", { connections, mode: "idle" })),
    ...[100, 1000, 10_000, 30_000, 60_000].map((connections) =>
      cell("scale", "udp", { connections, inFlight: 64 }),
    ),
  ],
};
