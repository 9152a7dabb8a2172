import { describe, expect, test } from "bun:test";
import type { CheckContext, CheckSettings } from "../../../src/diagnose/check/plan.ts";
import { checkTcp } from "../../../src/diagnose/check/tcp.ts";
import type { CheckResult, ProblemCode } from "../../../src/diagnose/result.ts";
import { type Endpoint, formatEndpoint } from "../../../src/net/endpoint.ts";
import { freePort, socatEcho } from "../../client/servers.ts";
import { requireTools } from "../../clients/tools.ts";
import { startServer } from "../../harness.ts";
import { FAULTS, type FaultName, FOREIGN, SLOW_MS, startTcp } from "../../net/servers/tcp.ts";
import { end } from "../fixtures.ts";
import { codes, only } from "./fixtures.ts";
import { SOCKETS } from "./sockets.ts";

/** `check` by TCP against real servers on loopback: ours, socat's, and small ones that are wrong in one way. */

await requireTools();

const SETTINGS: CheckSettings = {
  flows: 4,
  count: 6,
  size: 64,
  intervalMs: 1,
  timeoutMs: 2000,
  bulkBytes: 300_000,
  mtu: false,
  source: {},
};

/** Of a session: its echoes, and with these the bulk. */
const ECHO_BYTES = SETTINGS.count * SETTINGS.size;
const BULK_END = ECHO_BYTES + SETTINGS.bulkBytes;
const TAIL_BYTES = 65_536;
