import { afterAll, beforeAll } from "bun:test";
import { Renderer } from "../k8s/render.ts";
import { acceptedTests, CRDS } from "./accepted.ts";
import { checkTests } from "./check.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { Before, commandTests } from "./commands.ts";
import { componentTests } from "./components.ts";
import { driftTests } from "./drift.ts";
import { faultTests } from "./faults.ts";
import { fleetTests } from "./fleet.ts";
import { imageTests } from "./image.ts";
import { kubectl } from "./kubectl.ts";
import { loadTests } from "./load.ts";
import { meshTests } from "./mesh.ts";
import { namespaceTests } from "./namespaces.ts";
import { rollingTests } from "./rolling.ts";
import { Stopwatch, say } from "./shell.ts";
import { TenantFleet } from "./tenant.ts";
import { watchTests } from "./watch.ts";

/**
 * The fleet on a real cluster, end to end: `bun run test:e2e`. One story in this order, on the cluster that
 * `cluster.ts` describes; some minutes long. It wants three nodes and Linux, and nothing else named echo-server there.
 */

const watch = new Stopwatch();
const before = new Before();
const tenant = new TenantFleet();
/** What there is to undo: nothing of a cluster that was not opened. */
const opened = new AsyncDisposableStack();
let cluster: Cluster;
let renderer: Renderer;

beforeAll(async () => {
  renderer = opened.use(await Renderer.start());
  cluster = opened.use(await openCluster());
  opened.defer(async () => {
    await kubectl(["delete", "-f", CRDS, "--ignore-not-found"]);
  });
});

afterAll(async () => {
  await opened.disposeAsync();
  say(`all of it took ${watch}`);
});

imageTests(() => cluster);
tenant.tests(() => renderer);
acceptedTests(() => renderer);
loadTests();
tenant.quietTests(before);
commandTests(before);
checkTests();
fleetTests(() => renderer);
rollingTests(() => renderer);
watchTests();
meshTests(() => renderer);
faultTests(() => renderer);
componentTests(() => renderer, before);
namespaceTests(() => renderer, before);
driftTests();
