/// <reference types="k6" />
// Is the echo exact, and does each session find the right far end, while sessions come and go?
//
//     k6 run -e TARGET=server1.headless:1234 bench/tcp.js
//
// `ramp`: VUS sessions at once, up over a quarter of DURATION, held for half of it, and down.
// `rate`: RATE new sessions a second for DURATION, however long each takes, by at most VUS at once.
// A session: connect, banner, MESSAGES messages of SIZE bytes one after the other, close.
// TIMEOUT, BANNER, NAT: k6/session.js. JSON: k6/report.js.

import { report } from "./k6/report.js";
import { gracefulStop, size, summaryTrendStats, thresholds, withSession } from "./k6/session.js";
import { duration, whole, word } from "./k6/settings.js";

const SCENARIO = word("SCENARIO", ["both", "ramp", "rate"]);
const VUS = whole("VUS", { least: 1, most: 10_000, fallback: 10 });
const RATE = whole("RATE", { least: 1, most: 10_000, fallback: 20 });
const DURATION_MS = duration("DURATION", { leastMs: 1_000, fallback: "10s" });
const MESSAGES = whole("MESSAGES", { least: 1, most: 1_000_000, fallback: 100 });
const SIZE = size(1_024);

/** @type {Record<"ramp" | "rate", import("k6/options").Scenario>} */
const scenarios = {
  ramp: {
    executor: "ramping-vus",
    startVUs: 0,
    stages: [
      { duration: `${DURATION_MS / 4}ms`, target: VUS },
      { duration: `${DURATION_MS / 2}ms`, target: VUS },
      { duration: `${DURATION_MS / 4}ms`, target: 0 },
    ],
    gracefulRampDown: gracefulStop,
    gracefulStop,
  },
  rate: {
    executor: "constant-arrival-rate",
    rate: RATE,
    timeUnit: "1s",
    duration: `${DURATION_MS}ms`,
    startTime: SCENARIO === "both" ? `${DURATION_MS}ms` : "0s",
    preAllocatedVUs: VUS,
    gracefulStop,
  },
};

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: SCENARIO === "both" ? scenarios : { [SCENARIO]: scenarios[SCENARIO] },
  thresholds,
  summaryTrendStats,
};

export default function () {
  return withSession(SIZE, async (session) => {
    for (let sent = 0; sent < MESSAGES; sent++) await session.exchange();
  });
}

export const handleSummary = report("tcp.js");
