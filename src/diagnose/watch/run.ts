import { unwritten } from "../../errors.ts";
import { LineOutput } from "../../sys/output.ts";
import { bySystemCallsOf, type Engine, runTask } from "../thread.ts";
import { plural } from "../words.ts";
import type { EventLine, SummaryLine } from "./line.ts";
import { Screen, type Size } from "./screen.ts";
import { summaryText, verdictOf } from "./summary.ts";
import { EventTexts } from "./text.ts";
import type { WatchQuestion } from "./watch.ts";

/** How a watch is shown, and how it is spoken to. */
export interface WatchView {
  readonly engine: Engine;
  /** One JSON object a line, and no status. */
  readonly json: boolean;
  /** Where it is written; whoever does not read there does not stop the probes. */
  readonly descriptor: number;
  /** Where is said what could not be written there. */
  readonly complaints: number;
  /** Of the terminal now; null where it is none. */
  size(): Size | null;
  /** Aborts when the person has had enough. */
  readonly signal: AbortSignal;
  /** Given what prints the summary so far. */
  onSummary(print: () => void): void;
}

/** How long the end waits for whoever reads the last lines. */
const LAST_WORDS_MS = 2000;

/** How often it is asked whether somebody can still read. */
const READER_ASKED_MS = 250;

/** What a process that Ctrl-C ended before it had a result returns, as a shell sees it. */
const INTERRUPTED = 130;

/**
 * Watches, and writes what happens.
 * @returns the exit code: 0 all well, 1 with a problem, 130 where the signal came, or the reader went, before any answer
 * @throws StartError where the sockets that were asked for are not to be had here, and where nothing can be written
 */
export async function runWatch(question: WatchQuestion, view: WatchView): Promise<number> {
  const { engine, json, descriptor, signal } = view;
  const bySystemCalls = bySystemCallsOf(engine);
  const output = new LineOutput(descriptor);
  const screen = new Screen(output, json ? () => null : view.size);
  const texts = new EventTexts(question.targets.length > 1);
  const tell = (line: EventLine | SummaryLine): void => {
    if (line.event === "summary" && line.final) screen.clear();
    if (json) screen.log(JSON.stringify(line));
    else screen.log(line.event === "summary" ? summaryText(line) : texts.of(line));
  };
  const summariesAsked = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  view.onSummary(() => Atomics.add(summariesAsked, 0, 1));
  const input = { ...question, wantsStatus: !json && view.size() !== null, summariesAsked };
  // Whoever has closed the pipe (`| head -3`) wants no more, as at Ctrl-C; who only does not read stops nothing.
  // Where nothing can be written there is nothing to watch for.
  const gone = new AbortController();
  const asking = setInterval(() => {
    if (output.readerIsGone() || output.fault !== null) gone.abort();
  }, READER_ASKED_MS);
  const ended = AbortSignal.any([signal, gone.signal]);
  const summaries = await runTask("watch", input, {
    signal: ended,
    bySystemCalls,
    onEvent: (event) => ("line" in event ? tell(event.line) : screen.status(event.rows)),
  }).finally(() => clearInterval(asking));
  output.flush(LAST_WORDS_MS);
  if (output.fault !== null) throw unwritten(output.fault);
  if (!gone.signal.aborted) complainOfLost(output, view.complaints);
  const verdict = verdictOf(summaries, question.settings.maxOutageMs);
  if (verdict === "no_answer" && ended.aborted) return INTERRUPTED;
  return verdict === "well" ? 0 : 1;
}

/** Nobody may take what is left for all there was. */
function complainOfLost({ linesLost, waitingBytes }: LineOutput, descriptor: number): void {
  if (linesLost === 0 && waitingBytes === 0) return;
  const complaints = new LineOutput(descriptor);
  const lost = linesLost === 0 ? "the last lines" : plural(linesLost, "line");
  complaints.write(`echo-server: not all was written, ${lost} missing: nobody reads it\n`);
}
