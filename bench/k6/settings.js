/// <reference types="k6" />
// The settings of the k6 scripts: `-e NAME=value`, or the environment. Each is checked before the first connection.

/**
 * What the script was told, and its defaults, for the report.
 * @type {Record<string, string | number>}
 */
export const settings = {};

/**
 * @param {string} name
 * @param {string | undefined} value
 * @param {string} allowed
 * @returns {never}
 */
function refuse(name, value, allowed) {
  // Of an Error k6 would print the stack as well; a string stays one line.
  throw `${name}=${value}: must be ${allowed}`;
}

/**
 * @template {string | number} T
 * @param {string} name
 * @param {T} value
 */
function remember(name, value) {
  settings[name] = value;
  return value;
}

/** What stands for the setting: an empty value is none. */
const given = (/** @type {string} */ name) => __ENV[name] || undefined;

/**
 * A whole number.
 * @param {string} name
 * @param {{ least: number, most: number, fallback: number }} range
 */
export function whole(name, { least, most, fallback }) {
  const value = given(name) ?? String(fallback);
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least && number <= most)) refuse(name, value, `a whole number from ${least} to ${most}`);
  return remember(name, number);
}

/**
 * One of some words; the first is the default.
 * @template {string} T
 * @param {string} name
 * @param {readonly [T, ...T[]]} words
 * @returns {T}
 */
export function word(name, words) {
  const value = given(name) ?? words[0];
  const found = words.find((each) => each === value);
  return remember(name, found ?? refuse(name, value, words.join(" or ")));
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * A time such as `500ms`, `10s` or `1h30m`, in milliseconds, up to 48 hours.
 * @param {string} name
 * @param {{ leastMs: number, fallback: string }} range
 */
export function duration(name, { leastMs, fallback }) {
  const value = given(name) ?? fallback;
  let ms = 0;
  for (const [, count, unit] of value.matchAll(/(\d+)(ms|s|m|h)/g)) {
    ms += Number(count) * UNIT_MS[/** @type {keyof typeof UNIT_MS} */ (unit)];
  }
  const written = /^(\d+(ms|s|m|h))+$/.test(value);
  if (!written || ms < leastMs || ms > 48 * UNIT_MS.h) {
    refuse(name, value, `a time from ${leastMs}ms to 48h, such as 500ms, 10s or 1h30m`);
  }
  remember(name, value);
  return ms;
}

/** @typedef {{ host: string, port: number, text: string }} Address */

/**
 * `host:port`, or several with commas between them; an IPv6 address in brackets.
 * @param {string} name
 * @param {string} fallback
 * @returns {readonly Address[]}
 */
export function addresses(name, fallback) {
  const value = given(name) ?? fallback;
  const list = value.split(",").map((text) => {
    const match = /^(?:\[([\da-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    if (match === null || port < 1 || port > 65_535) {
      refuse(
        name,
        value,
        "host:port, as in server1.headless:1234 or [::1]:1234, several with commas between them",
      );
    }
    return { host: match[1] ?? match[2] ?? "", port, text };
  });
  remember(name, value);
  return list;
}

/**
 * The path of a file to write, or nothing.
 * @param {string} name
 */
export function path(name) {
  return given(name);
}
