import { printable, StartError } from "../../errors.ts";
import { listText } from "../words.ts";
import { complaintOf, type Kubectl, type KubectlEnd } from "./kubectl.ts";
import { type Fleet, fleetOf, hasEchoPort } from "./members.ts";
import { type PodObject, readPods, readPolicies, readServices } from "./objects.ts";

/** What Pods and Services of this project's fleet have in common (k8s/base). */
const SELECTOR = "app.kubernetes.io/name=echo-server";

/** The namespace that k8s/base states. */
const NAMESPACE = "echo-server";

/** Of one request; kubectl itself is ended a little later. */
const REQUEST_S = 10;
const GET_MS = (REQUEST_S + 2) * 1000;

/**
 * The fleet of a namespace; without one that of kubectl's own namespace, and where none is there, that of `echo-server`.
 * @throws StartError in one line: no kubectl, no cluster, no right to look, no fleet
 */
export async function discover(kubectl: Kubectl, namespace: string | null): Promise<Fleet> {
  const found = await findPods(kubectl, namespace);
  const inIt = ["-n", found.namespace];
  const [services, policies] = await Promise.all([
    get(kubectl, ["services", "-l", SELECTOR, ...inIt]),
    get(kubectl, ["networkpolicies", ...inIt]),
  ]);
  if (services.exitCode !== 0) throw unreadable(kubectl, "services", found.namespace, services);
  return fleetOf(
    found.namespace,
    found.pods,
    readServices(services.stdout),
    policies.exitCode === 0 ? readPolicies(policies.stdout) : null,
  );
}

async function findPods(
  kubectl: Kubectl,
  asked: string | null,
): Promise<{ namespace: string; pods: readonly PodObject[] }> {
  const namespaces = asked === null ? [...new Set([await currentNamespace(kubectl), NAMESPACE])] : [asked];
  let forbidden: StartError | null = null;
  for (const namespace of namespaces) {
    const end = await get(kubectl, ["pods", "-l", SELECTOR, "-n", namespace]);
    if (end.exitCode === 0) {
      const pods = readPods(end.stdout);
      // Others call their Pods so, too.
      if (pods.some(hasEchoPort)) return { namespace, pods };
    } else {
      // Elsewhere one may have the right; a cluster that cannot be asked cannot be asked of another namespace either.
      if (!isForbidden(end)) throw unreadable(kubectl, "pods", namespace, end);
      forbidden ??= unreadable(kubectl, "pods", namespace, end);
    }
  }
  if (forbidden !== null) throw forbidden;
  throw new StartError(
    `no fleet in namespace ${listText(namespaces)}: ${kubectl.command} apply -k k8s/overlays/dev makes one, --namespace names another place`,
  );
}

/** That of the context; `default` where it names none. */
async function currentNamespace(kubectl: Kubectl): Promise<string> {
  const end = await kubectl.run(["config", "view", "--minify", "-o", "jsonpath={..namespace}"], GET_MS);
  const name = end.exitCode === 0 ? end.stdout.trim() : "";
  return name === "" ? "default" : name;
}

function get(kubectl: Kubectl, args: readonly string[]): Promise<KubectlEnd> {
  return kubectl.run(["get", ...args, "-o", "json", `--request-timeout=${REQUEST_S}s`], GET_MS);
}

function unreadable(kubectl: Kubectl, what: string, namespace: string, end: KubectlEnd): StartError {
  const complaint = printable(complaintOf(end));
  if (isForbidden(end))
    return new StartError(
      `no right to read ${what} in namespace ${namespace} (${kubectl.command} auth can-i list ${what} -n ${namespace}): ${complaint}`,
    );
  return new StartError(`kubectl cannot ask the cluster: ${complaint}`);
}

function isForbidden(end: KubectlEnd): boolean {
  return /forbidden/i.test(complaintOf(end));
}
