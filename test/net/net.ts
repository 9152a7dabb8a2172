import { afterAll, beforeAll, describe } from "bun:test";
import { adversaryTests } from "./adversary.ts";
import { cleanUp } from "./check.ts";
import { endingTests } from "./endings.ts";
import { Lab } from "./lab.ts";
import { limitTests } from "./limits.ts";
import { lossTests } from "./losses.ts";
import { mtuTests } from "./mtu.ts";
import { nameTests } from "./names.ts";
import { requireLab } from "./needs.ts";
import { refusalTests } from "./refusals.ts";
import { sessionTests } from "./sessions.ts";
import { translationTests } from "./translation.ts";
import { wellTests } from "./well.ts";

/**
 * `check` against real faults, in a network that is made for it: every verdict where it must be said, and near it where it must not.
 * Linux and root: `bun run test:net`.
 */

await requireLab();

let lab: Lab | undefined;

beforeAll(async () => {
  lab = await Lab.make();
});

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  cleanUp();
});

const theLab = (): Lab => lab!;

describe("well", () => wellTests(theLab));
describe("translation", () => translationTests(theLab));
describe("refusals", () => refusalTests(theLab));
describe("losses", () => lossTests(theLab));
describe("sessions", () => sessionTests(theLab));
describe("sizes", () => mtuTests(theLab));
describe("names", () => nameTests(theLab));
describe("limits", () => limitTests(theLab));
describe("endings", () => endingTests(theLab));
describe("adversaries", () => adversaryTests(theLab));
