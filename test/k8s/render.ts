import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What is written once about `k8s/` for those that test it: which parts there are, and how they are rendered. */

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
export const K8S = join(PROJECT, "k8s");

/** The whole fleets, each with the components that are part of it already. */
export const OVERLAYS: readonly { readonly path: string; readonly has: readonly string[] }[] = [
  { path: "base", has: [] },
  { path: "overlays/dev", has: [] },
  { path: "overlays/nodeport", has: ["nodeport"] },
  { path: "overlays/dev-nodeport", has: ["nodeport"] },
];

export const COMPONENTS = [
  "nodeport",
  "loadbalancer",
  "network-policy",
  "monitoring",
  "proxy-protocol",
  "pool",
  "every-node",
  "dual-stack",
] as const;

/** A Kubernetes object as kustomize prints it; what a test reads of it is its own business to check. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * The kustomize of the project; it is built first where it is not there yet.
 * @throws with what is missing
 */
export async function findKustomize(): Promise<string> {
  const found = Bun.spawn([join(PROJECT, "scripts/kustomize")], { stdout: "pipe", stderr: "pipe" });
  const [path, why, code] = await Promise.all([
    new Response(found.stdout).text(),
    new Response(found.stderr).text(),
    found.exited,
  ]);
  if (code !== 0) throw new Error(`no kustomize: ${why.trim()}`);
  return path.trim();
}

export interface Overlay {
  /** A folder under `k8s/`. */
  readonly path: string;
  readonly components?: readonly string[];
  /** `KEY=value` lines for ConfigMap `echo-server`. */
  readonly settings?: readonly string[];
  /** Tag of the image in place of `dev`. */
  readonly tag?: string;
}

/** The text of a kustomization that a person would write to get this overlay from a folder inside `k8s/`. */
export function kustomization({ path, components = [], settings = [], tag }: Overlay): string {
  const wiring = settings.length > 0 ? ["wiring"] : [];
  const folders = [...components.map((name) => `components/${name}`), ...wiring];
  return JSON.stringify({
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    namespace: "echo-server",
    resources: [`../../${path}`],
    components: folders.map((folder) => `../../${folder}`),
    ...(settings.length > 0 && {
      configMapGenerator: [
        { name: "echo-server", namespace: "echo-server", behavior: "merge", literals: settings },
      ],
    }),
    ...(tag !== undefined && { images: [{ name: "echo-server", newTag: tag }] }),
  });
}

/**
 * Renders overlays of this project and forgets their folders at the end. They lie in a copy of `k8s/`, because
 * kustomize reads components by relative paths and the work tree is not a test's to write to.
 */
export class Renderer implements AsyncDisposable {
  readonly #kustomize: string;
  /** The copy of `k8s/`. */
  readonly root: string;
  #count = 0;

  private constructor(kustomize: string, folder: string) {
    this.#kustomize = kustomize;
    this.root = folder;
  }

  static async start(): Promise<Renderer> {
    const kustomize = await findKustomize();
    const folder = await mkdtemp("/tmp/echo-k8s-");
    await Bun.$`cp -r ${K8S}/. ${folder}`.quiet();
    return new Renderer(kustomize, folder);
  }

  /** A folder that `kubectl -k` takes, holding the overlay. */
  async folder(overlay: Overlay): Promise<string> {
    const folder = join(this.root, "rendered", String(this.#count++));
    await Bun.write(join(folder, "kustomization.yaml"), kustomization(overlay));
    return folder;
  }

  /** The YAML of an overlay. @throws with what kustomize says */
  async yaml(overlay: Overlay): Promise<string> {
    const child = Bun.spawn([this.#kustomize, "build", await this.folder(overlay)], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [text, why, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(`kustomize build ${JSON.stringify(overlay)}: ${why}`);
    return text;
  }

  async objects(overlay: Overlay): Promise<readonly KubernetesObject[]> {
    return parseObjects(await this.yaml(overlay));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true });
  }
}

export function parseObjects(yaml: string): readonly KubernetesObject[] {
  return Bun.YAML.parse(yaml) as KubernetesObject[]; // several documents are an array
}

/** `Deployment/server1`, `Namespace/echo-server`. */
export function nameOf({ kind, metadata }: KubernetesObject): string {
  return `${kind}/${metadata.name}`;
}
