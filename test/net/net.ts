import { describe } from "bun:test";
import { adversaryTests } from "./adversary.ts";
import { endingTests } from "./endings.ts";
import { limitTests } from "./limits.ts";
import { lossTests } from "./losses.ts";
import { mannerTests } from "./manners.ts";
import { nameTests } from "./names.ts";
import { portableTests } from "./portable.ts";
import { refusalTests } from "./refusals.ts";
import { translationTests } from "./translation.ts";
import { wellTests } from "./well.ts";
import { withLab } from "./with-lab.ts";

/**
 * `check` against real faults, in a network that is made for it: every verdict where it must be said, and near it where it
 * must not. Linux and root: `bun run test:net`, which runs this file, `net-tcp.ts` and `net-sizes.ts` side by side.
 */

const lab = await withLab();

describe("well", () => wellTests(lab));
describe("translation", () => translationTests(lab));
describe("refusals", () => refusalTests(lab));
describe("losses", () => lossTests(lab));
describe("names", () => nameTests(lab));
describe("limits", () => limitTests(lab));
describe("manners", () => mannerTests(lab));
describe("endings", () => endingTests(lab));
describe("by Bun's sockets", () => portableTests(lab));
describe("adversaries", () => adversaryTests(lab));
