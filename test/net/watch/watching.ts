import type { EventLine, FlowSummary, Line, SummaryLine } from "../../../src/diagnose/watch/line.ts";
import type { ProbeName } from "../../../src/diagnose/watch/settings.ts";
import type { Host } from "../../clients/network.ts";
import type { ServerProcess } from "../../harness.ts";
import { type CheckOptions, startCommand } from "../check.ts";

/** `watch --json` under way on a host of the lab, as a person runs it. */
export class Watching implements AsyncDisposable {
  readonly process: ServerProcess;

  /** @param args targets and flags; `--json` is added */
  constructor(host: Host, args: readonly string[], options: CheckOptions = {}) {
    this.process = startCommand(host, ["watch", ...args, "--json"], options);
  }

  get lines(): Line[] {
    return this.process.log as unknown as Line[];
  }

  /** What was said of a flow so far, without the summary. */
  linesOf(flow: ProbeName): EventLine[] {
    return this.lines.filter((line): line is EventLine => line.event !== "summary" && line.flow === flow);
  }

  eventsOf(flow: ProbeName): string[] {
    return this.linesOf(flow).map(({ event }) => event);
  }

  /** Waits for the first such event of a flow, past or to come. */
  async hears(flow: ProbeName, event: string): Promise<EventLine> {
    const line = await this.process.waitForLog((each) => each["flow"] === flow && each["event"] === event);
    return line as unknown as EventLine;
  }

  /** Waits until each of these flows was answered. */
  async answered(...flows: ProbeName[]): Promise<void> {
    for (const flow of flows) await this.hears(flow, "answered");
  }

  /** Ends it as Ctrl-C does. @throws where it wrote anything that is no line of JSON */
  async stop(): Promise<{ exitCode: number; summary: SummaryLine; flows: Record<string, FlowSummary> }> {
    const { exitCode, stdout, stderr } = await this.process.stop("SIGINT");
    const lines = stdout.trimEnd().split("\n");
    if (stderr !== "" || lines.length !== this.lines.length)
      throw new Error(`it wrote more:\n${stdout}\n${stderr}`);
    const summary = this.lines.at(-1);
    if (summary?.event !== "summary") throw new Error(`no summary at the end:\n${stdout}`);
    return { exitCode, summary, flows: summary.flows as Record<string, FlowSummary> };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

export interface SilenceSeen {
  readonly ms: number;
  /** A datagram of the prober's own left late by as much. */
  readonly lateMs: number;
}

/** By how much two differ, ms, less what either end could not send in time. */
export function differenceMs(
  { silentMs = 0, notRunningMs = 0 }: EventLine,
  { ms, lateMs }: SilenceSeen,
): number {
  return Math.abs(silentMs - ms) - notRunningMs - lateMs;
}

/** The independent prober (`prober.ts`), and the silences that it saw. */
export class Prober implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #ended: Promise<unknown>;
  readonly silences: SilenceSeen[] = [];
  isAnswered = false;

  constructor(host: Host, address: string, port: number, intervalMs: number) {
    const script = new URL("./prober.ts", import.meta.url).pathname;
    const command = host.inside(process.execPath, script, address, String(port), String(intervalMs));
    this.#child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    this.#ended = this.#collect();
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    let partial = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (partial + decoder.decode(chunk, { stream: true })).split("\n");
      partial = lines.pop()!;
      for (const line of lines) {
        if (line === "answered") this.isAnswered = true;
        else {
          const [, ms, lateMs] = /^silence (\d+) late (\d+)$/.exec(line)!;
          this.silences.push({ ms: Number(ms), lateMs: Number(lateMs) });
        }
      }
    }
  }

  /** Silences of so many ms at least: shorter ones are single datagrams. */
  longerThan(ms: number): SilenceSeen[] {
    return this.silences.filter((silence) => silence.ms >= ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    await this.#ended;
  }
}
