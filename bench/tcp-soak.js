/// <reference types="k6" />
// Do sessions live, and stay exact, for hours? A session that ends before its time is a failure.
//
//     k6 run -e TARGET=server1.headless:1234 -e VUS=200 -e DURATION=8h bench/tcp-soak.js
//
// VUS sessions, open for the whole of DURATION; RATE messages of SIZE bytes a second over all of them, evenly.
// A session that is lost is counted, and opened again. Keep VUS / RATE, the seconds that a session is silent, below
// the server's --tcp-idle-timeout.
// TIMEOUT, BANNER, NAT: k6/session.js. JSON: k6/report.js.

import exec from "k6/execution";
import { report } from "./k6/report.js";
import { gracefulStop, pause, size, summaryTrendStats, thresholds, withSession } from "./k6/session.js";
import { duration, whole } from "./k6/settings.js";

const VUS = whole("VUS", { least: 1, most: 10_000, fallback: 50 });
const RATE = whole("RATE", { least: 1, most: 10_000, fallback: 50 });
const DURATION_MS = duration("DURATION", { leastMs: 1_000, fallback: "10m" });
const SIZE = size(1_024);
/** Between two messages of one session. */
const INTERVAL_MS = (VUS / RATE) * 1_000;

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: { soak: { executor: "constant-vus", vus: VUS, duration: `${DURATION_MS}ms`, gracefulStop } },
  thresholds,
  summaryTrendStats,
};

export default function () {
  return withSession(SIZE, async (session) => {
    // A little past the scenario's end, so that it starts no further session when this one closes.
    const endMs = exec.scenario.startTime + DURATION_MS + 100;
    // Spread over the first interval, or all sessions would send in the same moment, every time.
    for (let dueMs = Date.now() + Math.random() * INTERVAL_MS; dueMs < endMs; dueMs += INTERVAL_MS) {
      await pause(Math.max(0, dueMs - Date.now()));
      await session.exchange();
    }
    await pause(Math.max(0, endMs - Date.now()));
  });
}

export const handleSummary = report("tcp-soak.js");
