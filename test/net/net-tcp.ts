import { describe } from "bun:test";
import { sessionTests } from "./sessions.ts";
import { tcpPathTests } from "./tcp-paths.ts";
import { withLab } from "./with-lab.ts";

/** What `check` says of TCP sessions: faults that take seconds to be sure of. See `net.ts`. */

const lab = await withLab();

describe("sessions", () => sessionTests(lab));
describe("large segments and half-closes over TCP", () => tcpPathTests(lab));
