/// <reference types="k6" />
// What a run found: a table for people, and JSON (`-e JSON=path`) for everything else.

import { REASONS } from "./session.js";
import { path, settings } from "./settings.js";

const JSON_PATH = path("JSON");

/**
 * Of what k6 gives to handleSummary, the part that is read here.
 * @typedef {{ values: Record<string, number>, thresholds?: Record<string, { ok: boolean }> }} Metric
 * @typedef {{ metrics: Record<string, Metric>, state: { testRunDurationMs: number } }} SummaryData
 */

/** `1,234,567`; k6 has no toLocaleString that would. */
const count = (/** @type {number} */ value) => value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ",");

/** @param {number} value */
function amount(value) {
  const exponent = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  const digits = exponent === 0 ? 0 : 1;
  return `${(value / 1_000 ** exponent).toFixed(digits)} ${["B", "kB", "MB", "GB", "TB"][exponent]}`;
}

/** @param {(string | number)[]} cells */
const row = ([name, ...cells]) =>
  `  ${String(name).padEnd(14)}${cells.map((cell) => String(cell).padStart(12)).join("")}`;

/** The thresholds that have a condition. @param {SummaryData} data */
function conditions({ metrics }) {
  return Object.entries(metrics)
    .flatMap(([metric, { thresholds = {} }]) =>
      Object.entries(thresholds).map(([condition, { ok }]) => ({ metric, condition, ok })),
    )
    .sort((a, b) => (a.metric < b.metric ? -1 : 1));
}

/**
 * @param {string} script
 * @param {SummaryData} data
 */
function table(script, data) {
  const seconds = data.state.testRunDurationMs / 1_000;
  const value = (/** @type {string} */ metric, /** @type {string} */ key) =>
    data.metrics[metric]?.values[key] ?? 0;
  const total = (/** @type {string} */ metric) => value(metric, "count");
  // Of a Rate, `passes` counts what was added as true. Of nothing, nothing can be said.
  const found = (/** @type {string} */ metric) => {
    const all = value(metric, "passes") + value(metric, "fails");
    return all === 0 ? "-" : `${count(value(metric, "passes"))} of ${count(all)}`;
  };
  const reasons = REASONS.map((reason) => ({ reason, times: total(`echo_faults{reason:${reason}}`) }));
  const why = reasons
    .filter(({ times }) => times > 0)
    .map(({ reason, times }) => `${reason} ${count(times)}`);
  const times = (/** @type {string} */ name, /** @type {string} */ metric) =>
    row([
      name,
      ...["p(50)", "p(90)", "p(99)", "max"].map(
        (key) => data.metrics[metric]?.values[key]?.toFixed(2) ?? "-",
      ),
    ]);
  const checked = conditions(data);
  return [
    "",
    `${script}: ${checked.every(({ ok }) => ok) ? "passed" : "FAILED"} in ${seconds.toFixed(1)} s, ${settings["TARGET"]}`,
    "",
    row(["", "total", "per second"]),
    row(["sessions", count(total("echo_sessions")), count(total("echo_sessions") / seconds)]),
    row(["messages", count(total("echo_messages")), count(total("echo_messages") / seconds)]),
    row(["echoed", amount(total("echo_bytes")), `${amount(total("echo_bytes") / seconds)}/s`]),
    "",
    `  messages without an exact echo   ${found("echo_mismatch")}`,
    `  sessions that failed             ${found("echo_session_failed")}${why.length > 0 ? ` (${why.join(", ")})` : ""}`,
    `  Client: not this end's address   ${found("echo_client_mismatch")}`,
    `  sessions due, but no VU was free ${count(total("dropped_iterations"))}`,
    "",
    row(["ms", "p50", "p90", "p99", "max"]),
    times("connect", "echo_connect_time"),
    times("banner", "echo_banner_time"),
    times("round trip", "echo_round_trip"),
    "  k6's own work and queue are in these times; see docs/k6.md for what they can tell.",
    "",
    ...checked.map(({ metric, condition, ok }) => `  ${ok ? "ok  " : "FAIL"} ${metric} ${condition}`),
    "",
  ].join("\n");
}

/**
 * The `handleSummary` of a script: its table on stdout, and the same numbers as JSON where `-e JSON=path` says.
 * @param {string} script
 */
export function report(script) {
  return (/** @type {SummaryData} */ data) => {
    /** @type {Record<string, string>} */
    const outputs = { stdout: table(script, data) };
    if (JSON_PATH !== undefined) {
      const thresholds = conditions(data);
      outputs[JSON_PATH] = `${JSON.stringify(
        {
          script,
          passed: thresholds.every(({ ok }) => ok),
          durationMs: data.state.testRunDurationMs,
          settings,
          thresholds,
          metrics: Object.fromEntries(
            Object.entries(data.metrics).map(([name, { values }]) => [name, values]),
          ),
        },
        null,
        2,
      )}\n`;
    }
    return outputs;
  };
}
