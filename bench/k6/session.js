/// <reference types="k6" />
/// <reference path="./tcp.d.ts" />
// One TCP session with the echo server, checked byte by byte: what the k6 scripts have in common.
//
//     connect > banner > (write a message > wait for its echo > compare digests) ... > destroy

import crypto from "k6/crypto";
import exec from "k6/execution";
import { Counter, Rate, Trend } from "k6/metrics";
import { setTimeout } from "k6/timers";
import { Socket } from "k6/x/tcp";
import { addresses, duration, whole, word } from "./settings.js";

const TARGETS = addresses("TARGET", "localhost:1234");
/** How long the server may be silent while an answer is due. */
const TIMEOUT_MS = duration("TIMEOUT", { leastMs: 100, fallback: "10s" });
/** `off` for a server that is started with --no-banner, and for any other echo. */
const BANNER = word("BANNER", ["on", "off"]);
/** `yes` where addresses are translated on the way: the `Client:` line is then counted, and no fault. */
const NAT = word("NAT", ["no", "yes"]);

/** After a session that failed, so that a target that refuses is not asked thousands of times a second. */
const FAILURE_PAUSE_MS = 200;
/** Of a banner, far more than one has; past it this is no banner. */
const BANNER_BYTES_MAX = 2_048;
/** Faults that a VU logs, beside that it could not connect; all are counted. */
const LOGGED_FAULTS_MAX = 3;

const sessions = new Counter("echo_sessions");
const sessionFailed = new Rate("echo_session_failed");
const faults = new Counter("echo_faults");
const messages = new Counter("echo_messages");
const bytes = new Counter("echo_bytes");
const mismatch = new Rate("echo_mismatch");
const clientMismatch = new Rate("echo_client_mismatch");
const connectTime = new Trend("echo_connect_time", true);
const bannerTime = new Trend("echo_banner_time", true);
const roundTrip = new Trend("echo_round_trip", true);

/** Why a session can fail; the tag `reason` of `echo_faults`. */
export const REASONS = /** @type {const} */ ([
  "connect",
  "banner",
  "timeout",
  "closed",
  "error",
  "unasked",
  "unfinished",
]);

/**
 * What every script must hold. A rate without a sample passes, so traffic itself is a threshold too.
 * @type {Record<string, string[]>}
 */
export const thresholds = {
  echo_messages: ["count>0"],
  echo_mismatch: ["rate==0"],
  echo_session_failed: ["rate==0"],
  // A run that could not make its load has not shown that the server bears it.
  dropped_iterations: ["count==0"],
  ...(BANNER === "on" && NAT === "no" && { echo_client_mismatch: ["rate==0"] }),
  // No condition: k6 hands a tagged part of a metric to the report only if it is named here.
  ...Object.fromEntries(REASONS.map((reason) => [`echo_faults{reason:${reason}}`, []])),
};

/** For the report: the shape of the tail says more than a mean. */
export const summaryTrendStats = ["p(50)", "p(90)", "p(99)", "max"];

/** What a scenario gives a session to end by itself. */
export const gracefulStop = `${2 * TIMEOUT_MS + 1_000}ms`;

/** Milliseconds since the run began, with a fraction: Date.now() has none, and most round trips are below 1 ms. */
const now = () => exec.instance.currentTestRunDuration;

/** @param {number} ms */
export const pause = (ms) => new Promise((resolve) => setTimeout(() => resolve(undefined), ms));

/** What went wrong with a session, as opposed to a mistake in a script. */
class Fault {
  /**
   * @param {typeof REASONS[number]} reason
   * @param {string} detail
   */
  constructor(reason, detail) {
    this.reason = reason;
    this.detail = detail;
  }
}

const WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const ADDRESS = "(?:[\\d.]+|\\[[\\da-f:.]+\\]):\\d+";
const BANNER_FORM = new RegExp(
  `^${WEEKDAY} ${MONTH} [1-9]\\d? \\d\\d:\\d\\d:\\d\\d UTC \\d{4}\\n` +
    `Server: (${ADDRESS})\\nClient: (${ADDRESS})\\n(?:[A-Z][a-z]+: [^\\n]+\\n)*\\n$`,
);

/**
 * As the banner writes it.
 * @param {string | undefined} ip
 * @param {number | undefined} port
 */
const formatAddress = (ip = "?", port = 0) => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);

/** A session from its connect on. Nothing is sent while an echo is outstanding. */
class Session {
  #socket = new Socket();
  /**
   * What is being waited for. `take` gets each chunk and says whether that was the last.
   * @type {{ take: (chunk: import("k6/x/tcp").Chunk) => boolean, resolve: () => void, reject: (fault: Fault) => void, sinceMs: number } | null}
   */
  #awaited = null;
  /**
   * Why this session can go no further.
   * @type {Fault | null}
   */
  #fault = null;
  #sent = 0;
  #payload;

  /** @param {number} size bytes of a message */
  constructor(size) {
    // Random, so that another session's bytes are not this one's; made anew, because a write that failed may still
    // be reading the last one.
    this.#payload = crypto.randomBytes(size);
    // Nothing to do, but needed: with a handler for it, a connect is not over before the module holds the iteration
    // open. Without, an iteration now and then ends in the middle of its session, and nothing tells.
    this.#socket.on("connect", () => {});
    this.#socket.on("data", (chunk) => this.#take(chunk));
    this.#socket.on("timeout", () => this.#silent());
    this.#socket.on("error", ({ method, message }) => {
      this.#end(new Fault(method === "connect" ? "connect" : "error", `${method}: ${message}`));
    });
    this.#socket.on("close", () => this.#end(new Fault("closed", "the server ended the session")));
    this.#socket.setTimeout(TIMEOUT_MS);
  }

  /** @param {import("./settings.js").Address} target */
  async open({ host, port }) {
    const startMs = now();
    // The banner may come before this code runs again, so it is listened for first.
    const banner = BANNER === "on" ? this.#readBanner() : Promise.resolve("");
    await Promise.all([
      this.#socket.connect(port, host).then(() => connectTime.add(now() - startMs)),
      banner,
    ]);
    if (BANNER === "off") {
      sessions.add(1);
      return;
    }
    bannerTime.add(now() - startMs);
    const text = await banner;
    const [, server, client] = BANNER_FORM.exec(text) ?? [];
    if (server === undefined) throw new Fault("banner", `not a banner: ${JSON.stringify(text)}`);
    sessions.add(1, { server });
    const { local_ip, local_port } = this.#socket;
    if (local_ip === undefined) return; // gone already: whatever comes next says why
    const own = formatAddress(local_ip, local_port);
    clientMismatch.add(client !== own);
    if (client !== own && NAT === "no") log(`the banner says Client: ${client}, this end is ${own}`);
  }

  /** Sends one message and waits for its echo. A wrong echo is counted; @throws {Fault} when there is none */
  async exchange() {
    const payload = this.#payload;
    const size = payload.byteLength;
    const number = ++this.#sent;
    // Every message differs from the one before it: an echo that is late, doubled or out of order does not pass.
    const head = new Uint8Array(payload, 0, Math.min(4, size));
    for (let at = 0; at < head.length; at++) head[at] = (number >>> (8 * at)) & 0xff;

    const hash = crypto.createHash("md5");
    let received = 0;
    const startMs = now();
    try {
      const echo = this.#wait((chunk) => {
        hash.update(/** @type {ArrayBuffer} */ (/** @type {unknown} */ (chunk)));
        received += chunk.length;
        return received >= size;
      });
      // Both: the next message is written into the same bytes.
      await Promise.all([this.#socket.write(payload), echo]);
    } catch (error) {
      mismatch.add(true);
      throw error;
    }
    roundTrip.add(now() - startMs);
    messages.add(1);
    bytes.add(received);
    mismatch.add(received !== size || hash.digest("hex") !== crypto.md5(payload, "hex"));
    if (received > size) throw new Fault("unasked", `${received} bytes came back for ${size}`);
  }

  /** @throws {Fault} when the session did not live until here */
  finish() {
    if (this.#fault !== null) throw this.#fault;
  }

  destroy() {
    this.#socket.destroy();
  }

  async #readBanner() {
    let text = "";
    await this.#wait((chunk) => {
      for (let at = 0; at < chunk.length; at++) text += String.fromCharCode(chunk[at] ?? 0);
      return text.includes("\n\n") || text.length > BANNER_BYTES_MAX;
    });
    return text;
  }

  /**
   * @param {(chunk: import("k6/x/tcp").Chunk) => boolean} take
   * @returns {Promise<void>}
   */
  #wait(take) {
    return new Promise((resolve, reject) => {
      if (this.#fault !== null) reject(this.#fault);
      else this.#awaited = { take, resolve, reject, sinceMs: now() };
    });
  }

  /** @param {import("k6/x/tcp").Chunk} chunk */
  #take(chunk) {
    const awaited = this.#awaited;
    if (awaited === null) {
      this.#end(new Fault("unasked", `${chunk.length} bytes that nobody asked for`));
    } else if (awaited.take(chunk)) {
      this.#awaited = null;
      awaited.resolve();
    }
  }

  /** The time without a byte runs between messages as well, so it counts only from when an answer was due. */
  #silent() {
    if (this.#awaited === null || now() - this.#awaited.sinceMs < TIMEOUT_MS) return;
    this.#end(new Fault("timeout", `no answer in ${TIMEOUT_MS} ms`));
  }

  /** @param {Fault} fault */
  #end(fault) {
    this.#fault ??= fault;
    this.#awaited?.reject(this.#fault);
    this.#awaited = null;
  }
}

let logged = 0;
let connectLogged = false;
/** Whether this VU is within a session. */
let busy = false;

/** @param {string} text */
function log(text) {
  if (logged++ < LOGGED_FAULTS_MAX) console.error(text);
}

/**
 * A closed port is closed for every VU alike: one says so for each target, once.
 * @param {string} text
 */
function logNoConnection(text) {
  if (connectLogged || exec.vu.idInInstance > TARGETS.length) return;
  connectLogged = true;
  console.error(text);
}

/**
 * Opens a session, lets `use` work with it and ends it. A fault is counted, not thrown.
 * @param {number} size bytes of a message
 * @param {(session: Session) => Promise<void>} use
 */
export async function withSession(size, use) {
  // By VU, not by chance: so each target has its share with any number of sessions.
  const target = TARGETS[exec.vu.idInTest % TARGETS.length];
  if (target === undefined) return;
  if (busy) {
    // The iteration before this one was ended from outside, so nothing was counted there.
    sessionFailed.add(true);
    faults.add(1, { reason: "unfinished" });
  }
  busy = true;
  const session = new Session(size);
  try {
    await session.open(target);
    await use(session);
    session.finish();
    sessionFailed.add(false);
  } catch (error) {
    sessionFailed.add(true);
    const fault = asFault(error);
    faults.add(1, { reason: fault.reason });
    const tell = fault.reason === "connect" ? logNoConnection : log;
    tell(`${target.text}: ${fault.reason}: ${fault.detail}`);
    await pause(FAILURE_PAUSE_MS);
  } finally {
    session.destroy(); // a socket left open would keep the iteration alive
    busy = false;
  }
}

/**
 * @param {unknown} error
 * @returns {Fault}
 */
function asFault(error) {
  if (error instanceof Fault) return error;
  if (error instanceof Error) throw error; // a mistake in a script
  // A TCPError of connect, or what a failed write gives.
  const { method, message } = /** @type {{ method?: string, message?: string }} */ (error);
  return new Fault(method === "connect" ? "connect" : "error", message ?? String(error));
}

/** Sizes up to here are exact and leave a VU a few MB. */
export const size = (/** @type {number} */ fallback) =>
  whole("SIZE", { least: 1, most: 16_777_216, fallback });
