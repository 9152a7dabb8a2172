import type { FleetMember } from "./fleet.ts";

/** What the page shows. */
export interface PageFacts {
  /** Who this is: label and value. */
  readonly identity: readonly (readonly [string, string])[];
  readonly state: "serving" | "draining";
  readonly addresses: { readonly tcp: readonly string[]; readonly udp: readonly string[] };
  readonly sessions: readonly SessionFacts[];
  readonly fleet: readonly FleetMember[];
  /** Addresses of this host, to mark this Pod among the fleet. */
  readonly own: readonly string[];
}

/** One protocol's row of numbers. */
export interface SessionFacts {
  readonly protocol: "TCP" | "UDP";
  readonly active: number;
  readonly opened: number;
  readonly refused: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #888; --good: #1a7f37; --bad: #b35900; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1rem; margin: 2rem 0 .3rem; }
p { margin: .2rem 0; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
th { font-weight: normal; color: var(--soft); white-space: nowrap; }
.n { text-align: right; } code { font-size: .95em; }
.state { font-size: .8rem; padding: .1rem .6rem; border-radius: 1rem; color: #fff; vertical-align: middle; }
.serving { background: var(--good); } .draining { background: var(--bad); }
`;

/** The page, self-contained: no script, nothing loaded from elsewhere; it asks for itself again every five seconds. */
export function renderPage(facts: PageFacts): string {
  const [, name] = facts.identity[0]!;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(name)} - echo server</title><style>${STYLE}</style></head>
<body><h1>${escapeHtml(name)} <span class="state ${facts.state}">${facts.state}</span></h1>
<p>echo server; <a href="/metrics">metrics</a>, <a href="/readyz">readyz</a>, <a href="/livez">livez</a></p>
<h2>This Pod</h2>
<table>${facts.identity.map(([label, value]) => row(label, escapeHtml(value))).join("")}
${addressRow("TCP", facts.addresses.tcp)}${addressRow("UDP", facts.addresses.udp)}</table>
<h2>Sessions</h2>
${sessionTable(facts.sessions)}
${fleetSection(facts)}</body></html>
`;
}

function row(label: string, html: string): string {
  return `<tr><th scope="row">${escapeHtml(label)}</th><td>${html}</td></tr>\n`;
}

function addressRow(label: string, addresses: readonly string[]): string {
  const list = addresses.map((address) => `<code>${escapeHtml(address)}</code>`).join(" ");
  return row(label, list === "" ? "off" : list);
}

function sessionTable(sessions: readonly SessionFacts[]): string {
  const heads = ["active", "opened", "refused", "received", "sent"];
  const lines = sessions.map(({ protocol, active, opened, refused, receivedBytes, sentBytes }) => {
    const numbers = [count(active), count(opened), count(refused), bytes(receivedBytes), bytes(sentBytes)];
    return `<tr><th scope="row">${protocol}</th>${numbers.map((text) => `<td class="n">${text}</td>`).join("")}</tr>`;
  });
  const head = heads.map((text) => `<th scope="col" class="n">${text}</th>`).join("");
  return `<table><tr><th></th>${head}</tr>${lines.join("\n")}</table>`;
}

function fleetSection({ fleet, own }: PageFacts): string {
  if (fleet.length === 0) return "<h2>Fleet</h2>\n<p>Not in a cluster.</p>\n";
  const members = fleet.map(({ name, addresses }) => {
    const list = addresses.map((address) => {
      const here =
        (name.includes(".") || fleet.length === 1) && own.includes(address) ? " <em>this Pod</em>" : "";
      return `<code>${escapeHtml(address)}</code>${here}`;
    });
    return row(name, list.length === 0 ? "no address" : list.join("<br>"));
  });
  return `<h2>Fleet, as DNS shows it</h2>\n<table>${members.join("")}</table>\n`;
}

/** `1,234,567`, without the megabytes that the locale tables take. */
function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1.5 MiB` */
function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let rest = value;
  for (; rest >= 1024 && unit < units.length - 1; unit++) rest /= 1024;
  return `${unit === 0 ? rest : rest.toFixed(1)} ${units[unit]}`;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
