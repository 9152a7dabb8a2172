import { Failure } from "../../client/failure.ts";
import { type FlowKey, newRun } from "../../client/payload.ts";
import type { Quantiles } from "../../client/round-trips.ts";
import type { Sockets } from "../../client/sockets.ts";
import { wayTo } from "../../client/udp-flow.ts";
import { type Endpoint, hostOf } from "../../net/endpoint.ts";
import type { Agenda } from "../agenda.ts";
import { type Resolution, resolutionText, resolveName } from "../resolve.ts";
import { endpointFor, type Family, type Target } from "../targets.ts";
import { listText } from "../words.ts";
import { noSuchName } from "./faults.ts";
import { FlowState } from "./flow-state.ts";
import type { EventLine, FlowSummary, Said, SummaryLine } from "./line.ts";
import { NewcomerProbe } from "./newcomer-probe.ts";
import { Newcomers } from "./newcomers.ts";
import type { OutageFigures } from "./outages.ts";
import type { Probe, ProbeContext } from "./probe.ts";
import { isHeld, type ProbeName, protocolOf, silentAfterMs, type WatchSettings } from "./settings.ts";
import { TcpHeld } from "./tcp-held.ts";
import { UdpHeld } from "./udp-held.ts";
import { visitByTcp, visitByUdp } from "./visits.ts";
import { type KnownFlow, type Surroundings, whySilent } from "./why.ts";

/** A name that could not be resolved for held flows is tried again so often. */
const RESOLVE_AGAIN_MS = 1000;

/** What all targets of a watch have in common. */
export interface Common {
  readonly settings: WatchSettings;
  readonly family: Family | null;
  readonly sockets: Sockets;
  readonly agenda: Agenda;
  readonly startMs: number;
  emit(line: EventLine): void;
  /** How a name is asked for; for tests. */
  resolve?(host: string, family: Family | null): Promise<Resolution>;
}

/** One probe of a target, with what is known of it. */
export interface Flow extends KnownFlow {
  readonly probe: Probe;
}

let flows = 0;
const run = newRun();

/** One target with its probes. */
export class TargetWatch {
  readonly target: Target;
  readonly flows: readonly Flow[];
  readonly #common: Common;
  readonly #newcomers: Newcomers;
  /** What the name had when it was resolved last; null before. */
  #addresses: readonly Endpoint[] | null;
  /** How this machine goes to the end that was asked for last. */
  #way: { readonly to: string; readonly own: Endpoint } | null = null;
  /** The one that held flows keep. */
  #held: Endpoint | null;

  constructor(target: Target, common: Common) {
    this.target = target;
    this.#common = common;
    this.#addresses = target.address === null ? null : [target.address];
    this.#held = target.address;
    const names = common.settings.probes.filter((name) => target.protocols.includes(protocolOf(name)));
    this.#newcomers = new Newcomers(names.filter((name) => !isHeld(name)).map(protocolOf));
    this.flows = names.map((name) => this.#flow(name));
  }

  /** Resolves the name for the held flows, and again until it has an address. */
  start(): void {
    if (this.#held !== null || !this.flows.some(({ name }) => isHeld(name))) return;
    const { agenda } = this.#common;
    let isAsking = false;
    const cancel = agenda.every(performance.now(), RESOLVE_AGAIN_MS, async () => {
      if (isAsking) return;
      isAsking = true;
      const addresses = await this.#resolve(this.flows.filter(({ name }) => isHeld(name)));
      isAsking = false;
      if (addresses === null) return;
      this.#held = addresses[0]!;
      cancel();
    });
  }

  /** @param untilMs now, or when the last probe could be sent */
  summary(nowMs: number, untilMs: number, final: boolean): SummaryLine {
    const { startMs, agenda } = this.#common;
    const { count, longestMs, totalMs } = agenda.stalls;
    return {
      ...this.#stamp(nowMs),
      event: "summary",
      final,
      seconds: seconds(nowMs - startMs),
      flows: Object.fromEntries(this.flows.map((flow) => [flow.name, this.#summaryOf(flow, nowMs, untilMs)])),
      problems: this.#problems(),
      stalls: { count, longestMs: Math.round(longestMs), totalMs: Math.round(totalMs) },
    };
  }

  #summaryOf({ probe, state: { servers } }: Flow, nowMs: number, untilMs: number): FlowSummary {
    const { outages, rttMs, ...figures } = probe.figures(nowMs, untilMs);
    return {
      ...figures,
      rttMs: rttMs === null ? null : roundedTimes(rttMs),
      outages: roundedOutages(outages),
      servers: servers.spans(this.#common.startMs),
      serversForgotten: servers.forgotten,
    };
  }

  #problems(): Record<string, number> {
    const problems: Record<string, number> = {};
    for (const { state } of this.flows) {
      for (const [code, count] of state.problems) problems[code] = (problems[code] ?? 0) + count;
    }
    return problems;
  }

  #flow(name: ProbeName): Flow {
    const { settings, agenda, startMs, emit } = this.#common;
    const rules = {
      held: isHeld(name),
      stream: name === "tcp-held",
      silentAfterMs: silentAfterMs(name, settings),
      target: this.target.text,
      startMs,
      notRunning: (fromMs: number, toMs: number) => agenda.stalls.between(fromMs, toMs),
    };
    const say = (said: Said): void => emit({ ...this.#stamp(performance.now()), flow: name, ...said });
    const state = new FlowState(rules, say);
    return { name, state, probe: probeOf(this.#context(name, state)) };
  }

  #context(name: ProbeName, state: FlowState): ProbeContext {
    const { settings, sockets, agenda } = this.#common;
    const protocol = protocolOf(name);
    return {
      ...{ name, settings, sockets, agenda, state },
      newcomers: this.#newcomers,
      newKey: (): FlowKey => ({ run, flow: flows++ % 2 ** 32 }),
      heldEnd: () => (this.#held === null ? null : endpointFor(this.target, this.#held, protocol)),
      resolve: async () => {
        const addresses = await this.#resolve([{ name, state }]);
        return addresses === null ? null : endpointFor(this.target, addresses[0]!, protocol);
      },
      ownAddress: (end) => this.#ownAddress(end),
      why: (sinceMs, nowMs, ownPort) =>
        whySilent({ name, state }, { sinceMs, nowMs, ownPort }, this.#surroundings()),
    };
  }

  /** Asked of a socket that sends nothing; again when the end is another one. */
  async #ownAddress(end: Endpoint): Promise<Endpoint | null> {
    if (this.#way?.to === hostOf(end)) return this.#way.own;
    const own = await wayTo(end, {}, this.#common.sockets.openUdp);
    if (own instanceof Failure) return null; // there may be a way the next time
    this.#way = { to: hostOf(end), own };
    return own;
  }

  #surroundings(): Surroundings {
    const { flows, target } = this;
    return { flows, target, newcomers: this.#newcomers, settings: this.#common.settings };
  }

  /** The addresses that the name has now; null where it has none, which those flows then say. */
  async #resolve(askers: readonly Pick<Flow, "name" | "state">[]): Promise<readonly Endpoint[] | null> {
    const { target } = this;
    const { family, settings } = this.#common;
    if (target.address !== null) return [target.address];
    const ask =
      this.#common.resolve ?? ((host) => resolveName(host, family, { timeoutMs: settings.timeoutMs }));
    const answer = await ask(target.host, family);
    if (answer.kind !== "found") {
      const fault = noSuchName(resolutionText(target.host, answer, family), target.host);
      for (const { state } of askers) state.problem(performance.now(), fault);
      return null;
    }
    this.#compare(answer.addresses, askers[0]!.name);
    return answer.addresses;
  }

  /** Says if the name has other addresses than before; their order is no news. */
  #compare(addresses: readonly Endpoint[], flow: ProbeName): void {
    const before = this.#addresses?.map(hostOf).sort();
    const now = addresses.map(hostOf).sort();
    this.#addresses = addresses;
    if (before === undefined || before.join() === now.join()) return;
    this.#common.emit({
      ...this.#stamp(performance.now()),
      flow,
      event: "resolved",
      says: `${this.target.host} is now ${listText(now)}, before ${listText(before)}`,
      addresses: now,
    });
  }

  #stamp(nowMs: number): { at: number; time: string; target: string; address: string | null } {
    const address = this.#held ?? this.#addresses?.[0] ?? null;
    return {
      at: seconds(nowMs - this.#common.startMs),
      time: new Date().toISOString(),
      target: this.target.text,
      address: address === null ? null : hostOf(address),
    };
  }
}

function probeOf(context: ProbeContext): Probe {
  switch (context.name) {
    case "tcp-held":
      return new TcpHeld(context);
    case "tcp-new":
      return new NewcomerProbe(context, visitByTcp);
    case "udp-new":
      return new NewcomerProbe(context, visitByUdp);
    default:
      return new UdpHeld(context);
  }
}

/** Whole milliseconds; one at least, so that what was out is not called well. */
function roundedOutages({ count, longestMs, totalMs }: OutageFigures): OutageFigures {
  const round = (ms: number): number => (count === 0 ? 0 : Math.max(1, Math.round(ms)));
  return { count, longestMs: round(longestMs), totalMs: round(totalMs) };
}

/** To the microsecond: what is beyond is no measurement. */
function roundedTimes({ min, p50, p99, max }: Quantiles): Quantiles {
  const round = (ms: number): number => Math.round(ms * 1000) / 1000;
  return { min: round(min), p50: round(p50), p99: round(p99), max: round(max) };
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
