import type { TcpInfo } from "../../../src/client/dial.ts";
import { Failure, type FailureCode } from "../../../src/client/failure.ts";
import { RoundTrips } from "../../../src/client/round-trips.ts";
import type { Asked, CheckSettings } from "../../../src/diagnose/check/plan.ts";
import type { BulkSeen, FlowSeen, TcpSeen, Wrong } from "../../../src/diagnose/check/tcp/seen.ts";
import type { CheckResult, Problem } from "../../../src/diagnose/result.ts";
import { banner, end } from "../fixtures.ts";

/** What the tests of TCP's verdicts share: what was seen of an address where all is well, to be spoilt. */

export const SETTINGS: CheckSettings = {
  flows: 10,
  count: 20,
  size: 64,
  intervalMs: 10,
  timeoutMs: 2000,
  bulkBytes: 1_048_576,
  mtu: false,
  source: {},
};

export const ASKED: Asked = {
  target: "tcp://echo-server",
  protocol: "tcp",
  name: "echo-server",
  endpoint: end("10.96.0.7:1234"),
  resolveMs: 0.8,
};

export const INFO: TcpInfo = {
  mss: 1448,
  pathMtu: 1500,
  retransmits: 0,
  roundTripMs: 0.1,
  acknowledgedBytes: 1281,
};

export const BULK: BulkSeen = {
  bytes: SETTINGS.bulkBytes,
  received: SETTINGS.bulkBytes,
  stalled: false,
  stallMs: 3500,
  retransmits: 0,
  acknowledged: SETTINGS.bulkBytes,
  pathMtu: 1500,
  tail: { kind: "whole", bytes: 65_536, due: 65_536, endedBy: "fin" },
};

/** A session where all is well, from port 40,000 and its number, and what is spoilt of it. */
export function flow(number: number, spoilt: Partial<FlowSeen> = {}): FlowSeen {
  const own = end(`10.244.3.9:${40_000 + number}`);
  return {
    own,
    connectMs: 0.2,
    firstByteMs: 0.3,
    banner: banner("10.96.0.7:1234", `10.244.3.9:${40_000 + number}`),
    sent: SETTINGS.count,
    received: SETTINGS.count,
    roundTrips: trips(SETTINGS.count, 0.1),
    failure: null,
    wrong: null,
    synRetransmits: 0,
    info: INFO,
    retransmits: 0,
    bulk: null,
    ...spoilt,
  };
}

/** A session that could not be begun. */
export function unconnected(number: number, failure: Failure, spoilt: Partial<FlowSeen> = {}): FlowSeen {
  return flow(number, {
    connectMs: null,
    firstByteMs: null,
    banner: null,
    sent: 0,
    received: 0,
    roundTrips: new RoundTrips(),
    failure,
    synRetransmits: null,
    info: null,
    retransmits: null,
    ...spoilt,
  });
}

/** A session that ended, or fell silent, with so many echoes back. */
export function ended(
  number: number,
  code: FailureCode,
  received: number,
  spoilt: Partial<FlowSeen> = {},
): FlowSeen {
  return flow(number, {
    sent: received + 1,
    received,
    roundTrips: trips(received, 0.1),
    failure: new Failure(code, received * SETTINGS.size),
    ...(received === 0 ? { banner: null, firstByteMs: null } : {}),
    ...spoilt,
  });
}

export function wrong(spoilt: Partial<Wrong> = {}): Wrong {
  return { what: "corrupted", crossed: false, message: 4, byte: 36, received: new Uint8Array(64), ...spoilt };
}

export function trips(count: number, ms: number): RoundTrips {
  const roundTrips = new RoundTrips();
  for (let each = 0; each < count; each++) roundTrips.add(ms);
  return roundTrips;
}

/** What was seen of these sessions; the first that is whole carries the bulk, unless one does already. */
export function seen(flows: readonly FlowSeen[], spoilt: Partial<TcpSeen> = {}): TcpSeen {
  const carrier = flows.some(({ bulk }) => bulk !== null)
    ? -1
    : flows.findIndex(({ failure }) => failure === null);
  return {
    asked: ASKED,
    settings: SETTINGS,
    flows: flows.map((each, at) => (at === carrier ? { ...each, bulk: BULK } : each)),
    interrupted: false,
    bySystemCalls: true,
    interfaceMtu: 1500,
    ...spoilt,
  };
}

/** Ten sessions, of which some are made otherwise. */
export function ten(spoil: (number: number) => FlowSeen | null): FlowSeen[] {
  return Array.from({ length: 10 }, (_, number) => spoil(number) ?? flow(number));
}

/** The codes of what is wrong and what is noted, in their order. */
export function codes({ problems, notes }: Pick<CheckResult, "problems" | "notes">): string[] {
  return [...problems, ...notes].map(({ code }) => code);
}

/** The one problem that there is. @throws where there are none or several */
export function only(problems: readonly Problem[]): Problem {
  const [problem, ...others] = problems;
  if (problem === undefined || others.length > 0)
    throw new Error(`not one problem: ${JSON.stringify(problems)}`);
  return problem;
}
