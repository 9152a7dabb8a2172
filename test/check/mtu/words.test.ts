import { describe, expect, test } from "bun:test";
import { find, type ModelPath, OTHER, PLAIN, SILENT } from "./paths.ts";

/** How what is wrong with sizes is put in words. */

describe("in words", () => {
  test("a black hole has its sizes, its way and a command for the end that can see it", async () => {
    const [there] = (await find({ there: 1400, ...SILENT })).problems;
    expect(there).toMatchObject({
      says: "payloads of 1,373 to 1,472 bytes vanish on the way there and nobody says so; larger ones pass in fragments; the largest packet that passes whole has 1,400 bytes",
      likely:
        "a link of 1,400 bytes on the way there, and the ICMP that says so (fragmentation needed) is filtered",
      next: "ping -M do -c 3 -s 1373 10.0.0.7",
    });
    const [back] = (await find({ ...OTHER, ...SILENT, back: 1400 })).problems;
    expect(back!.says).toContain("on the way back");
    expect(back!.next).toBe("ping -M do -c 3 -s 1373 10.0.0.9  # at the far end");
  });

  test("without a banner the way is not claimed, and what is likely is", async () => {
    const [problem] = (await find({ ...PLAIN, ...SILENT, back: 1400 })).problems;
    expect(problem!.says).toContain("on the way there or back");
    expect(problem!.likely).toContain("on the way back");
  });

  test("a hole of short last fragments is told from one of whole packets", async () => {
    const tails = (await find({ holesBack: [[1473, 1475]] })).problems[0]!;
    expect(tails.says).toBe(
      "payloads of 1,473 to 1,475 bytes are lost on the way back; smaller and larger ones pass",
    );
    expect(tails.likely).toContain("very short last fragments");
    const whole = (await find({ holesThere: [[1300, 1380]] })).problems[0]!;
    expect(whole.likely).toContain("packets of just these lengths");
  });

  test("a narrow path has both widths and who said it", async () => {
    const says = async (path: Partial<ModelPath>): Promise<string> => (await find(path)).notes[0]!.says;
    expect(await says({ there: 1400, back: 1400 })).toBe(
      "1,400 bytes each way (10.0.0.1 says so), the interface has 1,500; larger ones pass in fragments",
    );
    expect(await says({ there: 1450, back: 1400 })).toBe(
      "1,450 bytes on the way there, 1,400 bytes on the way back (10.0.0.1 says so), the interface has 1,500; larger ones pass in fragments",
    );
    expect(await says({ back: 1400 })).toBe(
      "1,400 bytes on the way back, the interface has 1,500; larger ones pass in fragments",
    );
  });
});
