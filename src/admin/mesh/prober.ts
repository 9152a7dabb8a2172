import type { BookChange } from "../../diagnose/mesh/book.ts";
import { MeshKnowledge } from "../../diagnose/mesh/knowledge.ts";
import type { MemberNames, Named } from "../../diagnose/mesh/names.ts";
import type { MeshProtocol, Now } from "../../diagnose/mesh/pair.ts";
import type { MeshResult } from "../../diagnose/mesh/result.ts";
import { peersOf } from "../../diagnose/mesh/ring.ts";
import type { MeshEvent, MeshQuestion } from "../../diagnose/mesh/seen.ts";
import type { Logger } from "../../log.ts";
import { type Endpoint, formatEndpoint } from "../../net/endpoint.ts";
import type { NamedPort } from "../../options/kinds.ts";
import { adminConnectionsWithin, sessionDescriptorsWithin } from "../../state/descriptors.ts";
import { openFileLimit } from "../../sys/limits.ts";
import { releaseStartupPages } from "../../sys/startup-pages.ts";
import { version } from "../../version.ts";
import type { Verdict } from "../health.ts";
import { type HttpListening, HttpServer, makeConnectionCounts } from "../http-server.ts";
import { proberAnswerer } from "./answers.ts";
import { proberLiveness, proberReadiness } from "./health.ts";
import { Members } from "./members.ts";
import { makeProberRegistry } from "./metrics.ts";
import { tellChange, tellRows } from "./tell.ts";

/** One prober's life: it asks its peers all the time, and tells what it knows by HTTP and in its log. */

/** How often the time is looked at: who was not measured for long, and whose name is to be asked for. */
const TICK_MS = 1000;

export interface ProberPlan {
  readonly question: MeshQuestion;
  /** What this member calls itself. */
  readonly self: Named;
  /** Null: no admin port, and nobody is asked for names. */
  readonly admin: HttpListening | null;
  /** Admin ports of this Pod's containers, by name; empty where nobody told. */
  readonly podAdminPorts: readonly NamedPort[];
}

export interface ProberSurroundings {
  readonly log: Logger;
  /** Lines of the log that nobody read. */
  logLinesLost(): number;
  /** Aborts when the process shall end. */
  readonly shutdown: AbortSignal;
  /** The work on the network: tells of rosters and probes until `signal` aborts. */
  ask(question: MeshQuestion, signal: AbortSignal, onEvent: (event: MeshEvent) => void): Promise<unknown>;
}

/** Where a prober's admin port listens: it has the process's descriptors to itself, but for its probes'. */
export function adminListening(hosts: readonly string[], port: number, connections: number): HttpListening {
  const openFiles = openFileLimit();
  return {
    ...{ hosts, port },
    connectionsMax: adminConnectionsWithin(openFiles, connections),
    descriptorsMax: sessionDescriptorsWithin(openFiles, connections),
  };
}

/** How long the sessions under way may take to be ended. */
const LAST_MS = 500;

/**
 * Runs until `shutdown`.
 * @throws StartError when an address cannot be bound; what the asking thread dies of
 */
export async function runProber(plan: ProberPlan, surroundings: ProberSurroundings): Promise<void> {
  const { log, shutdown, ask } = surroundings;
  using prober = new ProberLife(plan, surroundings);
  const { intervalMs, timeoutMs, degree, name: members } = plan.question;
  const { name, node } = plan.self;
  const admin = prober.bound.map(formatEndpoint);
  log.info({ name, node, admin, members, intervalMs, timeoutMs, degree, version }, "ready");
  releaseStartupPages();
  const asking = ask(plan.question, shutdown, (event) => prober.take(event));
  await Promise.race([asking, aborted(shutdown).then(() => Bun.sleep(LAST_MS))]);
  if (!shutdown.aborted) throw new Error("the thread that asks ended by itself");
  log.info("stopped");
}

class ProberLife implements Disposable {
  readonly #question: MeshQuestion;
  readonly #known: MeshKnowledge;
  readonly #log: Logger;
  readonly #members: Members;
  readonly #server: HttpServer | null;
  readonly #tick: Timer;
  /** When the thread told of a probe last, or had a peer to ask for the first time. */
  #lastToldMs = performance.now();
  /** Whose rows did not come the last time that all were asked. */
  #missed = new Set<string>();

  constructor(
    { question, self, admin, podAdminPorts }: ProberPlan,
    { log, logLinesLost }: ProberSurroundings,
  ) {
    const { intervalMs, timeoutMs, degree } = question;
    this.#question = question;
    this.#known = new MeshKnowledge({
      ...{ intervalMs, timeoutMs, degree, self, protocols: protocolsOf(question) },
      peersOf: (addresses, own) => peersOf(addresses, own, degree),
    });
    this.#log = log;
    this.#members = new Members({
      port: () => this.bound[0]?.port ?? null,
      onRow: (address, row) => this.#known.takeRow(address, row, now()),
      onMiss: (address, why) => this.#known.missRow(address, why, now()),
      nowMs: () => performance.now(),
    });
    const connections = makeConnectionCounts();
    const facts = { known: this.#known, members: this.#members, connections, logLinesLost, version };
    const answerer = proberAnswerer({
      live: () => this.#live(),
      ready: () => proberReadiness(this.#known.book),
      registry: makeProberRegistry(facts),
      ownRow: () => this.#known.ownRow(now()),
      othersCount: () => this.#known.others.length,
      matrix: () => this.#matrix(),
      about: { ...self, question, podAdminPorts, admin: () => this.bound[0] ?? null },
    });
    this.#server = admin === null ? null : new HttpServer(admin, answerer, connections);
    this.#tick = setInterval(() => this.#look(), TICK_MS);
  }

  get bound(): readonly Endpoint[] {
    return this.#server?.bound ?? [];
  }

  take(event: MeshEvent): void {
    const at = now();
    if ("probe" in event || this.#known.book.pairs.size === 0) this.#lastToldMs = at.ms;
    const namesBefore = this.#known.names;
    this.#tell(this.#known.take(event, at), at, namesBefore);
    if ("roster" in event) this.#askNames();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#tick);
    this.#server?.stop();
  }

  #look(): void {
    const at = now();
    this.#tell(this.#known.book.settle(at), at, this.#known.names);
    this.#askNames();
  }

  #tell(changes: readonly BookChange[], { ms }: Now, namesBefore: MemberNames): void {
    const telling = { log: this.#log, known: this.#known, namesBefore, question: this.#question };
    for (const change of changes) tellChange(telling, change, ms);
  }

  #askNames(): void {
    this.#members.askNames([...this.#known.book.pairs.keys()]);
  }

  #live(): Verdict {
    const { intervalMs, timeoutMs } = this.#known.settings;
    const facts = { intervalMs, timeoutMs, lastToldMs: this.#lastToldMs };
    return proberLiveness(this.#known.book, facts, performance.now());
  }

  async #matrix(): Promise<MeshResult> {
    await this.#members.askAll(this.#known.others);
    const matrix = this.#known.matrix(now());
    const whyOf = (address: string): string | null => this.#known.whyMissing(address);
    this.#missed = tellRows(this.#log, matrix.members, this.#missed, whyOf);
    return matrix;
  }
}

function now(): Now {
  return { ms: performance.now(), wallMs: Date.now() };
}

function protocolsOf({ tcpPort, udpPort }: MeshQuestion): MeshProtocol[] {
  return [...(tcpPort === null ? [] : ["tcp" as const]), ...(udpPort === null ? [] : ["udp" as const])];
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
