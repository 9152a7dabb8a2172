import type { ClientFacts, PageFacts, RefusalFacts } from "./facts.ts";
import {
  byteCount,
  code,
  count,
  escapeHtml,
  folded,
  moment,
  paragraph,
  type Section,
  span,
  table,
} from "./html.ts";
import { sessionsOfPod } from "./pod.ts";

/** Clients that are seen at once; those before them are folded. */
const CLIENTS_SEEN = 10;

/** Who asked last: strangers first, since the fleet's own members ask all the time where there is a mesh. */
export function clientsSection({ clients, at }: PageFacts): Section {
  const title = "Last clients";
  if (clients === null) return { id: "clients", title, html: "" };
  const others = clients.filter(({ member }) => member === null);
  const members = clients.filter(({ member }) => member !== null);
  const none = members.length === 0 ? "Nobody yet." : "Nobody yet but members of the fleet.";
  const foldedTable = (id: string, summary: string, label: string, some: readonly ClientFacts[]): string =>
    some.length === 0 ? "" : folded(id, `${count(some.length)} ${summary}`, clientTable(label, some, at));
  const html = [
    others.length === 0 ? paragraph(none) : clientTable(title, others.slice(0, CLIENTS_SEEN), at),
    foldedTable("clients-before", "before them", "Clients before them", others.slice(CLIENTS_SEEN)),
    foldedTable("clients-members", "of the fleet itself", `${title}, members of the fleet`, members),
  ];
  return { id: "clients", title, html: html.join("") };
}

function clientTable(label: string, clients: readonly ClientFacts[], now: string): string {
  const columns = [
    { head: "Client" },
    { head: "Latest (UTC)" },
    { head: "Protocol" },
    { head: "Open" },
    { head: "Sessions", numbers: true },
    { head: "Received", numbers: true },
  ] as const;
  const rows = clients.map(({ client, member, protocol, at, open, sessions, bytes }) => [
    code(client) + (member === null ? "" : ` ${escapeHtml(member)}`),
    moment(at, now),
    protocol,
    open ? "open" : "ended",
    count(sessions),
    byteCount(bytes),
  ]);
  return table(label, columns, rows);
}

/** One row for each protocol of this Pod, as far as its containers say; a prober has none of its own. */
export function sessionsSection(facts: PageFacts): Section {
  const columns = [
    { head: "Protocol" },
    { head: "Now", numbers: true },
    { head: "Opened", numbers: true },
    { head: "Refused", numbers: true },
    { head: "Received", numbers: true },
    { head: "Sent", numbers: true },
  ] as const;
  const rows = sessionsOfPod(facts).map(({ protocol, active, opened, refused, receivedBytes, sentBytes }) => [
    protocol,
    ...[active, opened, refused].map(count),
    byteCount(receivedBytes),
    byteCount(sentBytes),
  ]);
  const html = rows.length === 0 ? "" : table("Sessions, now and since the start", columns, rows);
  return { id: "sessions", title: "Sessions", html };
}

/** What happened, with what it means; what did not is folded. The containers beside this one have pages that tell theirs. */
export function refusalsSection({ refusals, containers }: PageFacts): Section {
  const title = "Refused and dropped";
  if (refusals.length === 0) return { id: "refusals", title, html: "" };
  const happened = refusals.filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
  const never = refusals.filter(({ count }) => count === 0);
  const nothing = containers.length > 1 ? "Nothing by this container." : "Nothing.";
  const shown = happened.length === 0 ? paragraph(nothing) : refusalTable(title, happened);
  const rest =
    never.length === 0
      ? ""
      : folded(
          "refusals-never",
          never.length === 1
            ? "1 reason that has not come up"
            : `${count(never.length)} reasons that have not come up`,
          refusalTable("Reasons that have not come up", never),
        );
  return { id: "refusals", title, html: shown + rest };
}

function refusalTable(label: string, refusals: readonly RefusalFacts[]): string {
  const columns = [
    { head: "Reason" },
    { head: "What" },
    { head: "Count", numbers: true },
    { head: "What it means" },
  ] as const;
  const rows = refusals.map(({ protocol, what, reason, count: times, meaning }) => [
    code(reason),
    escapeHtml(`${protocol} ${what}`),
    count(times),
    escapeHtml(meaning),
  ]);
  return table(label, columns, rows);
}

export function loopsSection({ loops }: PageFacts): Section {
  const columns = [
    { head: "Loop" },
    { head: "Serves" },
    { head: "Last turned" },
    { head: "Lag", numbers: true },
    { head: "Sessions now", numbers: true },
  ] as const;
  const rows = loops.map(({ loop, serves, heartbeatAgeMs, hangs, lagMs, sessions }) => [
    count(loop),
    escapeHtml(serves),
    hangs
      ? `${span(heartbeatAgeMs)} ago <span class="state down">hangs</span>`
      : `${count(heartbeatAgeMs)} ms ago`,
    `${lagMs.toFixed(1)} ms`,
    count(sessions),
  ]);
  const html = rows.length === 0 ? "" : table("Event loops", columns, rows);
  return { id: "loops", title: "Event loops", html };
}
