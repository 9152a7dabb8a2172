import type { FleetFacts, PageFacts } from "./facts.ts";
import { code, count, escapeHtml, paragraph, type Section, table } from "./html.ts";
import { stateHtml } from "./pod.ts";

/** The members as DNS shows them, and what each says of itself: of several containers, the one that is like this one. */
export function fleetSection({ fleet, containers }: PageFacts): Section {
  const own = containers.length > 1 ? containers.find(({ self }) => self) : undefined;
  const columns = [{ head: "Member" }, { head: "State" }, { head: "Node" }, { head: "Address" }] as const;
  const rows = fleet.map((member) => [
    escapeHtml(member.name) + (member.self ? " <em>this Pod</em>" : ""),
    member.addresses.length === 0 ? `<span class="state unknown">no address</span>` : stateHtml(member.state),
    member.node === null ? "-" : escapeHtml(member.node),
    member.addresses.map(code).join("<br>") || "-",
  ]);
  const html =
    rows.length === 0 ? "" : paragraph(escapeHtml(inWords(fleet, own?.name))) + table("Fleet", columns, rows);
  return { id: "fleet", title: "Fleet", html };
}

/** `3 members: 2 serving, 1 did not say`, `3 members, asked at their container tcp: 3 serving` */
function inWords(fleet: readonly FleetFacts[], container: string | undefined): string {
  const many = (which: (member: FleetFacts) => boolean, word: string): string[] => {
    const number = fleet.filter(which).length;
    return number === 0 ? [] : [`${count(number)} ${word}`];
  };
  const found = (member: FleetFacts): boolean => member.addresses.length > 0;
  const parts = [
    ...many((member) => found(member) && member.state === "serving", "serving"),
    ...many((member) => found(member) && member.state === "not_ready", "not ready"),
    ...many((member) => found(member) && member.state === "draining", "draining"),
    ...many((member) => found(member) && member.state === null, "did not say"),
    ...many((member) => !found(member), "without an address"),
  ];
  const members = `${count(fleet.length)} ${fleet.length === 1 ? "member" : "members"}`;
  const who = container === undefined ? members : `${members}, asked at their container ${container}`;
  return `${who}: ${parts.join(", ")}.`;
}
