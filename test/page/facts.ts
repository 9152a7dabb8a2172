import type { PageFacts } from "../../src/page/facts.ts";

/** A page's facts with something in each part, and what a test changes of them. */
export function someFacts(changed: Partial<PageFacts> = {}): PageFacts {
  return {
    version: 1,
    at: "2026-11-26T08:00:30.000Z",
    uptimeMs: 3_723_000,
    name: "server2-abc",
    node: "node-b",
    namespace: "echo-server",
    identity: [
      ["Name", "server2-abc"],
      ["Engine", "linux (self-test passed), event loops: 1"],
    ],
    state: "serving",
    stateText: "ready",
    addresses: { tcp: ["[::]:1234"], udp: [] },
    sessions: [
      { protocol: "TCP", active: 17, opened: 1_234_567, refused: 31, receivedBytes: 1536, sentBytes: 5 },
      { protocol: "UDP", active: 3, opened: 2345, refused: 0, receivedBytes: 0, sentBytes: 2_097_152 },
    ],
    refusals: [
      { protocol: "TCP", what: "refused", reason: "gone", count: 0, meaning: "The client had left." },
      { protocol: "UDP", what: "dropped", reason: "own_port", count: 4321, meaning: "Another echo server." },
    ],
    loops: [
      { loop: 0, serves: "TCP and UDP", heartbeatAgeMs: 412, hangs: false, lagMs: 0.25, sessions: 20 },
      { loop: 1, serves: "TCP and UDP", heartbeatAgeMs: 73_412, hangs: true, lagMs: 0.25, sessions: 20 },
    ],
    clients: [
      {
        at: "2026-11-26T08:00:18.000Z",
        client: "10.244.9.9:40000",
        protocol: "TCP",
        sessions: 7,
        bytes: 71_680,
        open: true,
        member: null,
      },
      {
        at: "2026-11-26T08:00:20.000Z",
        client: "10.244.1.2:41111",
        protocol: "UDP",
        sessions: 99,
        bytes: 640,
        open: false,
        member: "server1.headless",
      },
    ],
    containers: [
      { name: "tcp", port: 8080, self: true, state: "serving", uptimeMs: 3_723_000, sessions: [] },
      {
        name: "udp",
        port: 8081,
        self: false,
        state: "not_ready",
        uptimeMs: 3_700_000,
        sessions: [
          { protocol: "UDP", active: 55, opened: 66, refused: 0, receivedBytes: 3072, sentBytes: 0 },
        ],
      },
      { name: "mesh", port: 8082, self: false, state: null, uptimeMs: null, sessions: [] },
    ],
    fleet: [
      { name: "server1.headless", node: "node-a", addresses: ["10.244.1.2"], state: "draining", self: false },
      { name: "server2.headless", node: "node-b", addresses: ["10.244.2.2"], state: "serving", self: true },
      { name: "server3.headless", node: null, addresses: [], state: null, self: false },
    ],
    commands: [{ text: "nc server2.headless 1234", about: "By hand." }],
    mesh: false,
    ...changed,
  };
}
