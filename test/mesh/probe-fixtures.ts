import type { MeshQuestion } from "../../src/diagnose/mesh/seen.ts";

/** What the tests of the prober share. */

/** A question of which a test says what it wants otherwise. */
export const QUESTION: MeshQuestion = {
  name: "mesh",
  members: [],
  address: null,
  family: null,
  tcpPort: 1234,
  udpPort: 5678,
  intervalMs: 100,
  timeoutMs: 500,
  degree: 10,
  membersMax: 100,
  banner: true,
};
