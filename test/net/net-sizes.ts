import { describe } from "bun:test";
import { mtuTests } from "./mtu.ts";
import { transcriptTests } from "./transcripts.ts";
import { withLab } from "./with-lab.ts";

/** What `check --mtu` says of sizes, and what the documentation shows. See `net.ts`. */

const lab = await withLab();

describe("sizes", () => mtuTests(lab));
describe("documentation", () => transcriptTests());
