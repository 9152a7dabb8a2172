import type { ContainerFacts, PageFacts, SessionFacts } from "./facts.ts";
import { addressOf } from "./host.ts";
import { byteCount, code, count, escapeHtml, list, paragraph, type Section, span, table } from "./html.ts";

/** States as words: colour says nothing alone. */
const STATES = { serving: "serving", not_ready: "not ready", draining: "draining" } as const;

/** @param state null: it did not say */
export function stateHtml(state: PageFacts["state"] | null): string {
  if (state === null) return `<span class="state unknown">did not say</span>`;
  return `<span class="state ${state}">${STATES[state]}</span>`;
}

/** Of this server and of the containers beside it, TCP first: a Pod's two protocols may be served by one each. */
export function sessionsOfPod({ sessions, containers }: PageFacts): SessionFacts[] {
  const beside = containers.filter(({ self }) => !self).flatMap((container) => container.sessions);
  return [...sessions, ...beside].sort((a, b) => (a.protocol < b.protocol ? -1 : 1));
}

/** Who this is, and how it is. */
export function summarySection({ name, node, state, stateText, uptimeMs, sessions }: PageFacts): Section {
  const what = sessions.length === 0 ? "Prober of the mesh" : "Echo server";
  const where = node === null ? "" : ` on ${code(node)}`;
  const html = `<h1>${escapeHtml(name)} ${stateHtml(state)}</h1>
${paragraph(`${what}${where}, up for ${span(uptimeMs)}: ${escapeHtml(stateText)}.`)}`;
  return { id: "summary", title: "", html };
}

export function identitySection({ identity, addresses }: PageFacts): Section {
  const listens = ([protocol, all]: readonly [string, readonly string[]]): [string, string][] =>
    all.length === 0 ? [] : [[protocol, all.map(code).join(" ")]];
  const rows: [string, string][] = [
    ...identity.map(([label, value]): [string, string] => [label, escapeHtml(value)]),
    ...listens(["Listens, TCP", addresses.tcp]),
    ...listens(["Listens, UDP", addresses.udp]),
  ];
  return { id: "identity", title: "This server", html: list(rows) };
}

export function containersSection({ containers }: PageFacts, host: string | null, path: string): Section {
  const columns = [
    { head: "Container" },
    { head: "State" },
    { head: "Sessions now", numbers: true },
    { head: "Received", numbers: true },
  ] as const;
  const rows = containers.map((container) => {
    const sum = (of: "active" | "receivedBytes"): number =>
      container.sessions.reduce((total, numbers) => total + numbers[of], 0);
    const numbers =
      container.sessions.length === 0 ? ["-", "-"] : [count(sum("active")), byteCount(sum("receivedBytes"))];
    return [nameOf(container, addressOf(host, container.port, path)), stateHtml(container.state), ...numbers];
  });
  const html = rows.length === 0 ? "" : table("Containers of this Pod", columns, rows);
  return { id: "containers", title: "Containers of this Pod", html };
}

/** A container, which is the way to its page too: in the first column it is seen on a phone. */
function nameOf({ name, port, self }: ContainerFacts, address: string | null): string {
  const text = escapeHtml(`${name}, port ${port}`);
  if (self) return `${text} <em>this one</em>`;
  return address === null ? text : `<a href="${escapeHtml(address)}">${text}</a>`;
}

/** Each to be copied as it stands: the text of its `code`. */
export function commandsSection({ commands }: PageFacts): Section {
  const items = commands.map(
    ({ text, about }) => `<li><p>${escapeHtml(about)}</p><div class="command">${code(text)}</div></li>\n`,
  );
  const html = items.length === 0 ? "" : `<ul class="commands">\n${items.join("")}</ul>\n`;
  return { id: "commands", title: "Commands to copy", html };
}
