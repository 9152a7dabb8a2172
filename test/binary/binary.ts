import { resolve } from "node:path";
import { binaryTests } from "./tests.ts";

/** A binary for this machine, as a release has it: `BINARY=dist/echo-server bun run test:binary`. */

const file = process.env["BINARY"];
if (file === undefined || file === "") throw new Error("BINARY must name the binary to test");
binaryTests(() => [resolve(file)], process.platform === "linux");
