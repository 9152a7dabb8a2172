import { printable, UsageError } from "../errors.ts";
import { type Endpoint, endpointOf } from "../net/endpoint.ts";
import type { Table } from "../options/table.ts";
import { SERVE_OPTIONS } from "../server/options.ts";
import type { Command } from "./command.ts";

const EXAMPLES = `
Exits 0 when the answer is yes, 1 when it is no or none came. Reads the same variables as serve.

Examples:
  echo-server health          does a real echo come back, through the front door?
  echo-server health live     do the event loops turn?
`;

const { hosts, adminHosts, adminPort, readinessTimeoutMs } = SERVE_OPTIONS.rows;
const ROWS = { hosts, adminHosts, adminPort, readinessTimeoutMs };

/** The server's own rows, so that both read a Pod's variables alike. */
const HEALTH_OPTIONS: Table<typeof ROWS> = { variables: SERVE_OPTIONS.variables, rows: ROWS };

/** Where a server is that was told no address: it listens on all of them. */
const LOOPBACK = "127.0.0.1";

/** An answer may take longer than the echo that it waits for. */
const ANSWER_MS = 1000;

/** What to ask, where, and how long to wait. */
export interface HealthQuestion {
  readonly path: "/readyz" | "/livez";
  readonly endpoint: Endpoint;
  readonly timeoutMs: number;
}

/** Asks a server's admin port how the server is. */
export const health: Command<typeof ROWS, HealthQuestion> = {
  name: "health",
  about: "ask the server of this machine how it is",
  argument: { term: "[question]", about: "ready or live", default: "ready" },
  table: HEALTH_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options, words }) {
    const question = words[0]!;
    if (question !== "ready" && question !== "live")
      throw new UsageError(`health ${printable(question)} is not allowed; allowed: ready, live`);
    const port = options.adminPort;
    if (port === null || port === 0) {
      const said = `--admin-port ${port ?? "off"}`;
      throw new UsageError(`${said}: health has no port to ask; allowed: a port from 1 to 65535`);
    }
    const hosts = options.adminHosts ?? options.hosts ?? [];
    return {
      path: question === "ready" ? "/readyz" : "/livez",
      endpoint: endpointOf(hosts[0] ?? LOOPBACK, port)!, // its kind has checked the host
      timeoutMs: options.readinessTimeoutMs + ANSWER_MS,
    };
  },

  async run({ path, endpoint, timeoutMs }, { endBySignal }) {
    endBySignal();
    const { askHealth } = await import("../admin/ask.ts");
    const { ok, text } = await askHealth(endpoint, path, timeoutMs);
    return { exitCode: ok ? 0 : 1, text };
  },
};
