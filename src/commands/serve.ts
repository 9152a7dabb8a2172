import { checkTogether, SERVE_OPTIONS, type ServeOptions } from "../server/options.ts";
import type { Command } from "./command.ts";

const EXAMPLES = `
Every flag has a variable: --tcp-port is ECHO_TCP_PORT. A flag counts before its variable.

Examples:
  echo-server                                        TCP 1234, UDP 5678, admin 8080, on every address
  echo-server serve --tcp-port 1234 --udp-port off   one protocol, as in one container of a Pod
  echo-server serve --host 127.0.0.1 --host ::1      on loopback only
  echo-server serve --no-banner --workers auto       a plain echo on every core
  echo-server serve --proxy-protocol require --proxy-trusted 10.0.0.0/8
                                                     behind a load balancer that sends PROXY headers
  ECHO_LOG_LEVEL=debug echo-server                   log every session
`;

/** Serves until a signal ends it. */
export const serve: Command<typeof SERVE_OPTIONS.rows, ServeOptions> = {
  name: "serve",
  isDefault: true,
  about: "serve echoes until SIGTERM or SIGINT (what echo-server alone does)",
  table: SERVE_OPTIONS,
  helpAfter: EXAMPLES,

  plan({ options }) {
    checkTogether(options);
    return options;
  },

  async run(options, { env, shutdown, onExit, onFault }) {
    const [server, { openLog }] = await Promise.all([import("../server/serve.ts"), import("../log.ts")]);
    const { logger: log, linesLost: logLinesLost, flush } = await openLog(options);
    onExit(flush);
    if (!shutdown.aborted) await server.serve(options, { env, log, logLinesLost, shutdown, onFault });
    return { exitCode: 0 };
  },
};
