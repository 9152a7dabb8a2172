import { describe } from "bun:test";
import { endingTests } from "./watch/endings.ts";
import { nameTests } from "./watch/names.ts";
import { outageTests } from "./watch/outages.ts";
import { reasonTests } from "./watch/reasons.ts";
import { transcriptTests } from "./watch/transcripts.ts";
import { withLab } from "./with-lab.ts";

/** `watch` against real faults: what it says, when, and how long it was. See `net.ts`. */

const lab = await withLab();

describe("outages", () => outageTests(lab));
describe("reasons", () => reasonTests(lab));
describe("endings", () => endingTests(lab));
describe("names", () => nameTests(lab));
describe("documentation", () => transcriptTests());
