/// <reference types="k6" />
// Sessions as short as they get: connect, banner, one message of SIZE bytes, close.
//
//     k6 run -e TARGET=server1.headless:1234 -e RATE=200 bench/tcp-churn.js
//
// RATE new sessions a second for DURATION, by at most VUS at once. The close is k6's, so its end of each connection
// stays in TIME-WAIT for a minute: towards one address and port the 28,000 local ports last for about 470 a second.
// TIMEOUT, BANNER, NAT: k6/session.js. JSON: k6/report.js.

import { report } from "./k6/report.js";
import { gracefulStop, size, summaryTrendStats, thresholds, withSession } from "./k6/session.js";
import { duration, whole } from "./k6/settings.js";

const VUS = whole("VUS", { least: 1, most: 10_000, fallback: 50 });
const RATE = whole("RATE", { least: 1, most: 10_000, fallback: 100 });
const DURATION_MS = duration("DURATION", { leastMs: 1_000, fallback: "30s" });
const SIZE = size(64);

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: {
    churn: {
      executor: "constant-arrival-rate",
      rate: RATE,
      timeUnit: "1s",
      duration: `${DURATION_MS}ms`,
      preAllocatedVUs: VUS,
      gracefulStop,
    },
  },
  thresholds,
  summaryTrendStats,
};

export default function () {
  return withSession(SIZE, (session) => session.exchange());
}

export const handleSummary = report("tcp-churn.js");
