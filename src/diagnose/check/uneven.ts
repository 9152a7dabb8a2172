import type { Note, ServerSeen } from "../result.ts";
import { countText } from "../words.ts";
import { Binomial } from "./binomial.ts";
import { someText } from "./phrases.ts";

/** How seldom a spread that is chance alone may be called uneven, over all of the servers. */
const FALSE_ALARMS = 1 / 1000;

/**
 * What is said of a spread that chance does not give, where each flow goes to any of the servers seen, all alike: by an
 * exact two-sided binomial test of each server. Flows without a banner are left out: who answered them is not known.
 * Null where the spread is even enough, or where there is none to judge.
 */
export function unevenNote(servers: readonly ServerSeen[] | null): Note | null {
  const known = (servers ?? []).filter(({ server }) => server !== null);
  if (known.length < 2) return null;
  const flows = known.reduce((sum, each) => sum + each.flows, 0);
  const [least, most] = new Binomial(flows, 1 / known.length).expected(FALSE_ALARMS / known.length);
  const outliers = known.filter((each) => each.flows < least || each.flows > most);
  if (outliers.length === 0) return null;
  const shares = outliers.map(({ server, flows: own }) => `${server} ${countText(own)}`);
  return {
    code: "uneven",
    says:
      `of ${countText(flows)} flows ${someText(shares)}, ` +
      `where chance gives each of ${countText(known.length)} servers ${countText(least)} to ${countText(most)}`,
  };
}
