import { describe } from "bun:test";
import { transcriptTests } from "./transcripts.ts";
import { withLab } from "./with-lab.ts";

/** What `check --mtu` says of sizes, and what the documentation shows. See `net.ts`. */

await withLab();

describe("documentation", () => transcriptTests());
