import type { Failure } from "../../client/failure.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import { countText, plural, timeText } from "../words.ts";
import type { Explanation } from "./explain.ts";
import { byWhom, type Fault } from "./faults.ts";
import type { Said } from "./line.ts";
import { type Server, serverText } from "./servers.ts";

/** What is said of a flow, event by event: fields for scripts, and the same in words. */

/** A share of a silence in which this process did not run is worth a word from here on. */
const IDLE_TOLD = 0.1;

/** @param seen this end, as the server saw it; null where it did not say */
export function answered(who: Server, seen: Endpoint | null): Said {
  const words = seen === null ? "" : `, which sees ${formatEndpoint(seen)}`;
  return { event: "answered", says: `by ${serverText(who)}${words}`, ...who, ...seenField(seen) };
}

/** @param silentMs from the last server's last answer to the first of this one's, as the outage is measured; 0 for none */
export function moved(from: Server, to: Server, seen: Endpoint | null, silentMs: number): Said {
  const after = silentMs === 0 ? "without a silence" : `after ${timeText(silentMs)} of silence`;
  const says = `from ${serverText(from)} to ${serverText(to)} ${after}`;
  return { event: "moved", says, ...to, from: from.server, to: to.server, silentMs, ...seenField(seen) };
}

/** @param from how this end was seen before, and `to` now: with its port or without */
export function translated(from: string, to: string, seen: Endpoint): Said {
  return {
    event: "translation",
    says: `seen as ${to}, before as ${from}`,
    from,
    to,
    seen: formatEndpoint(seen),
  };
}

/** @param since seconds after the start. @param unanswered probes since then */
export function silent(silentMs: number, since: number, unanswered: number, why: Explanation | null): Said {
  const none = unanswered === 0 ? "no session" : `${plural(unanswered, "probe")} without an answer`;
  const says = `for ${timeText(silentMs)}, ${none}${why === null ? "" : `; ${why.says}`}`;
  const said: Said = { event: "silent", says, silentMs, since, why: why?.code ?? null };
  if (why === null) return said;
  const by = why.by === undefined ? {} : { by: why.by };
  return { ...said, likely: why.likely, where: why.where, next: why.next, ...by };
}

/** @param server that answered last */
export function stuck(silentMs: number, since: number, server: Server | null, why: Explanation): Said {
  const { likely, where, next, newServer = null } = why;
  const says = `for ${timeText(silentMs)}; ${why.says}`;
  return {
    event: "stuck",
    says,
    silentMs,
    since,
    server: server?.server ?? null,
    newServer,
    likely,
    where,
    next,
  };
}

/** @param notRunningMs of the silence: this process did not run then */
export function back(silentMs: number, since: number, lost: number, who: Server, notRunningMs: number): Said {
  const idle =
    notRunningMs <= IDLE_TOLD * silentMs
      ? ""
      : ` (${timeText(notRunningMs)} of it this machine was too busy to ask)`;
  const says = `silent for ${timeText(silentMs)}${idle}, ${countText(lost)} lost; answered by ${serverText(who)}`;
  return {
    event: "back",
    says,
    silentMs,
    since,
    lost,
    ...who,
    ...(notRunningMs === 0 ? {} : { notRunningMs }),
  };
}

export function refused(failure: Failure): Said {
  const by = byWhom(failure);
  const unsure = failure.code === "refused_or_unreachable" ? ", or there is no way there" : "";
  const says = `${by === null ? "" : `by ${by}: `}nobody listens there${unsure}`;
  return { event: "refused", says, by };
}

/** A session came to its end, and not by this end's will. */
export function ended(event: "reset" | "closed", { bytes, detail }: Failure, server: Server | null): Said {
  // Linux gives up by itself what was not acknowledged for too long (tcp(7), tcp_retries2).
  const givenUp = event === "closed" && detail !== "";
  const how =
    event === "reset"
      ? "by a reset"
      : givenUp
        ? `given up by this machine (${detail})`
        : "by the far end's FIN";
  return {
    event,
    says: `${how}, after ${plural(bytes, "echoed byte")}`,
    bytes,
    server: server?.server ?? null,
    by: null, // Linux tells no process who sent it
  };
}

export function problem(fault: Fault, facts: Pick<Said, "from" | "by" | "count">): Said {
  const { code, says, likely, where, next } = fault;
  return { event: "problem", code, says: `${code}: ${says}`, likely, where, next, ...facts };
}

function seenField(seen: Endpoint | null): Pick<Said, "seen"> {
  return seen === null ? {} : { seen: formatEndpoint(seen) };
}
