import { expect, test } from "bun:test";
import { DIAGNOSIS_PAGE, makeTranscripts, transcriptsIn } from "../../scripts/transcripts.ts";

/** What the documentation shows is what the program says now; figures and the width they take may differ. */

/** The words alone: a number is `#`, whatever its size, its unit of time and what it counts, and lines may be wrapped elsewhere. */
function shapeOf(transcript: string): string {
  return transcript
    .replace(/\d[\d,.]*/g, "#")
    .replace(/# m?s\b/g, "# s")
    .replace(/\bm?s( |$)/gm, "s$1")
    .replace(/(# \w+?)s\b/g, "$1") // plurals
    .replace(/\s+/g, " ");
}

export function transcriptTests(): void {
  test("the transcripts of docs/diagnosis.md are what check says (bun scripts/transcripts.ts writes them)", async () => {
    const written = transcriptsIn(await Bun.file(DIAGNOSIS_PAGE).text());
    const now = await makeTranscripts();
    expect(written.size).toBe(5);
    for (const [name, transcript] of written) {
      expect([name, shapeOf(transcript)]).toEqual([name, shapeOf(now.get(name)!)]);
    }
  });
}
