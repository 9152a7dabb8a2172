import { expect, test } from "bun:test";
import { DIAGNOSIS_PAGE } from "../../../scripts/transcripts.ts";
import { makeWatchTranscripts, watchTranscriptsIn } from "../../../scripts/watch-transcripts.ts";

/** What happened in a transcript: flow and event of each line, whatever came first of what comes at once, and its figures. */
function eventsIn(transcript: string): string[] {
  const lines = transcript.matchAll(/^[\d:.]+ +(tcp|udp)(-\S+) +(\w+) /gm);
  return [...lines].map(([, protocol, flow, event]) => `${protocol}${flow} ${event}`).toSorted();
}

export function transcriptTests(): void {
  test("the transcripts of docs/diagnosis.md are what watch says (bun scripts/watch-transcripts.ts writes them)", async () => {
    const written = watchTranscriptsIn(await Bun.file(DIAGNOSIS_PAGE).text());
    const now = await makeWatchTranscripts();
    expect(written.size).toBe(2);
    for (const [name, transcript] of written) {
      expect(eventsIn(transcript).length).toBeGreaterThan(8);
      expect([name, eventsIn(now.get(name)!)]).toEqual([name, eventsIn(transcript)]);
    }
  });
}
