import { z } from "zod";
import { PROJECT } from "../k8s/render.ts";
import { eventually, type RunOptions, run } from "./shell.ts";

/** kubectl as a person runs it, from the project's folder; and what is asked of it again and again. */

export const NAMESPACE = "echo-server";

/** Runs kubectl and gives what it printed. @throws with its complaint */
export async function kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
  return (await run(["kubectl", ...args], { cwd: PROJECT, ...options })).stdout;
}

/** A command line as the documentation has it: words are separated by spaces, `'...'` and `"..."` kept whole. */
export async function kubectlLine(line: string): Promise<string> {
  const words = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare!,
  );
  return await kubectl(words[0] === "kubectl" ? words.slice(1) : words);
}

const pod = z.object({
  metadata: z.object({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.object({ nodeName: z.string().optional(), hostname: z.string().optional() }),
  status: z.object({
    podIP: z.string().optional(),
    podIPs: z.array(z.object({ ip: z.string() })).default([]),
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    containerStatuses: z
      .array(z.object({ name: z.string(), restartCount: z.int(), ready: z.boolean() }))
      .default([]),
  }),
});

export interface Pod {
  readonly name: string;
  /** `server1`, `pool`...; the client has none. */
  readonly instance: string;
  readonly node: string;
  readonly ip: string;
  /** Its IPv6 address; empty where the cluster has none. */
  readonly ip6: string;
  readonly ready: boolean;
  readonly leaving: boolean;
  readonly restarts: number;
}

export async function pods(
  selector = "app.kubernetes.io/name=echo-server",
  namespace = NAMESPACE,
): Promise<Pod[]> {
  const text = await kubectl(["get", "pods", "-n", namespace, "-l", selector, "-o", "json"]);
  const { items } = z.object({ items: z.array(pod) }).parse(JSON.parse(text));
  return items.map(({ metadata, spec, status }) => ({
    name: metadata.name,
    instance: metadata.labels["app.kubernetes.io/instance"] ?? "",
    node: spec.nodeName ?? "",
    ip: status.podIP ?? "",
    ip6: status.podIPs.find(({ ip }) => ip.includes(":"))?.ip ?? "",
    ready: status.conditions.some(({ type, status }) => type === "Ready" && status === "True"),
    leaving: metadata.deletionTimestamp !== undefined,
    restarts: status.containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0),
  }));
}

/** The servers that stay, one of each instance, all ready. */
export async function fleetReady(seconds: number, namespace = NAMESPACE): Promise<Pod[]> {
  return await eventually("three ready servers and nothing that leaves", seconds, async () => {
    const found = await pods("app.kubernetes.io/component=server", namespace);
    const instances = new Set(found.map(({ instance }) => instance));
    return found.length === 3 && instances.size === 3 && found.every(({ ready }) => ready) ? found : null;
  });
}

/** Waits until every Deployment and DaemonSet has rolled to its newest template and nothing leaves any more. */
export async function rolledOut(seconds: number, namespace = NAMESPACE): Promise<void> {
  const text = await kubectl(["get", "deployments,daemonsets", "-n", namespace, "-o", "name"]);
  for (const workload of text.trim().split("\n")) {
    await kubectl(["rollout", "status", workload, "-n", namespace, `--timeout=${seconds}s`]);
  }
  await eventually("no Pod that leaves", seconds, async () =>
    (await pods(undefined, namespace)).some(({ leaving }) => leaving) ? null : true,
  );
}

/** A command in a Pod that has a shell; gives what it printed. */
export async function execIn(namespace: string, podName: string, script: string): Promise<string> {
  return await kubectl(["exec", podName, "-n", namespace, "--", "sh", "-c", script]);
}

/** A command in the client Pod; gives what it printed. */
export async function inClient(script: string): Promise<string> {
  return await execIn(NAMESPACE, "echo-client1", script);
}

/** A Pod's port on this machine for as long as it is not disposed of: `kubectl port-forward`. */
export async function forwarded(podName: string, port: number): Promise<AsyncDisposable & { url: string }> {
  const child = Bun.spawn(["kubectl", "port-forward", "-n", NAMESPACE, `pod/${podName}`, `:${port}`], {
    env: { ...process.env }, // with the KUBECONFIG that was set since the start
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  // Not `for await`: leaving it would close the pipe, and kubectl ends when it cannot write what it handles.
  const output = child.stdout.getReader();
  const decoder = new TextDecoder();
  let told = "";
  for (;;) {
    const { value, done } = await output.read();
    if (done) break;
    told += decoder.decode(value, { stream: true });
    const local = /^Forwarding from 127\.0\.0\.1:(\d+)/m.exec(told)?.[1];
    if (local === undefined) continue;
    return {
      url: `http://127.0.0.1:${local}`,
      async [Symbol.asyncDispose]() {
        child.kill();
        await child.exited;
      },
    };
  }
  throw new Error(`kubectl port-forward ended (${await child.exited}): ${told}`);
}

/** The addresses of the nodes as seen from outside, of one family; empty where they have none of it. */
export async function nodeAddresses(family: "IPv4" | "IPv6" = "IPv4"): Promise<Map<string, string>> {
  const path =
    '{range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}';
  const lines = (await kubectl(["get", "nodes", "-o", `jsonpath=${path}`])).trim().split("\n");
  const found = new Map<string, string>();
  for (const [node, ...addresses] of lines.map((line) => line.split(" "))) {
    const address = addresses.find((each) => each.includes(":") === (family === "IPv6"));
    if (address !== undefined) found.set(node!, address);
  }
  return found;
}

/** One page of a Pod's admin port through the API server, whom the `network-policy` component does not let in. */
export async function adminPage(podName: string, port: number, path: string): Promise<string> {
  return await kubectl([
    "get",
    "--raw",
    `/api/v1/namespaces/${NAMESPACE}/pods/${podName}:${port}/proxy${path}`,
  ]);
}

/** Everything on the cluster that somebody put there: what `delete` must leave as it was. */
export async function inventory(): Promise<string[]> {
  const kinds = (await kubectl(["api-resources", "--verbs=list", "-o", "name"])).trim().split("\n");
  const passing = /^(events|leases|componentstatuses|bindings|pods\.metrics|nodes\.metrics|csinodes)/;
  const listed = kinds.filter((kind) => !passing.test(kind)).join(",");
  const text = await kubectl([
    "get",
    listed,
    "-A",
    "--ignore-not-found",
    "-o",
    "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name",
    "--no-headers",
  ]);
  return text
    .trim()
    .split("\n")
    .map((line) => line.replaceAll(/\s+/g, " "))
    .sort();
}
