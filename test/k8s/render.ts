import { mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What is written once about `k8s/` for those that test it: which parts there are, and how they are rendered. */

export const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
export const K8S = join(PROJECT, "k8s");

/** The whole fleets, each with the components that are part of it already. */
export const OVERLAYS: readonly { readonly path: string; readonly has: readonly string[] }[] = [
  { path: "base", has: [] },
  { path: "overlays/namespaced", has: ["client"] },
  { path: "overlays/dev", has: ["namespace", "client"] },
  { path: "overlays/nodeport", has: ["namespace", "nodeport"] },
  { path: "overlays/dev-nodeport", has: ["namespace", "client", "nodeport"] },
  { path: "overlays/dev-mesh", has: ["namespace", "client", "mesh"] },
];

export const COMPONENTS = [
  "namespace",
  "client",
  "nodeport",
  "loadbalancer",
  "network-policy",
  "monitoring",
  "proxy-protocol",
  "pool",
  "every-node",
  "dual-stack",
  "banner-fields",
  "hairpin",
  "mesh",
] as const;

/** The components that an overlay has not. */
export function optionalOn(overlay: string): readonly (typeof COMPONENTS)[number][] {
  const { has } = OVERLAYS.find(({ path }) => path === overlay)!;
  return COMPONENTS.filter((name) => !has.includes(name));
}

/** A Kubernetes object as kustomize prints it; what a test reads of it is its own business to check. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * The kustomize of the project; it is built first where it is not there yet.
 * @throws with what is missing
 */
export async function findKustomize(): Promise<string> {
  return await toolOf("kustomize");
}

/**
 * A promtool, which evaluates alerts as Prometheus does; it is fetched first where it is not there yet.
 * @throws with what is missing
 */
export async function findPromtool(): Promise<string> {
  return await toolOf("promtool");
}

async function toolOf(name: string): Promise<string> {
  const found = Bun.spawn([join(PROJECT, "scripts", name)], { stdout: "pipe", stderr: "pipe" });
  const [path, why, code] = await Promise.all([
    new Response(found.stdout).text(),
    new Response(found.stderr).text(),
    found.exited,
  ]);
  if (code !== 0) throw new Error(`no ${name}: ${why.trim()}`);
  return path.trim();
}

export interface Overlay {
  /** What it lies on: a folder under `k8s/`, or another overlay. */
  readonly path: string | Overlay;
  readonly components?: readonly string[];
  /** `KEY=value` lines for ConfigMap `echo-server`. */
  readonly settings?: readonly string[];
  readonly namespace?: string;
  readonly namePrefix?: string;
  readonly nameSuffix?: string;
  /** Tag of the image in place of `dev`. */
  readonly tag?: string;
}

/**
 * The text of a kustomization that a person would write to get this overlay.
 * @param resource the folder of what it lies on, as seen from its own, which is two below `k8s/`
 */
function kustomization(resource: string, overlay: Overlay): string {
  const { components = [], settings = [], tag, namespace, namePrefix, nameSuffix } = overlay;
  const wiring = settings.length > 0 ? ["wiring"] : [];
  const folders = [...components.map((name) => `components/${name}`), ...wiring];
  return JSON.stringify({
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [resource],
    components: folders.map((folder) => `../../${folder}`),
    ...(settings.length > 0 && {
      configMapGenerator: [{ name: "echo-server", behavior: "merge", literals: settings }],
    }),
    ...(namespace !== undefined && { namespace }),
    ...(namePrefix !== undefined && { namePrefix }),
    ...(nameSuffix !== undefined && { nameSuffix }),
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
    const { path } = overlay;
    const resource = typeof path === "string" ? `../../${path}` : `../${basename(await this.folder(path))}`;
    return await this.written(kustomization(resource, overlay));
  }

  /** A folder two below `k8s/` that holds this kustomization. */
  async written(text: string): Promise<string> {
    const folder = join(this.root, "rendered", String(this.#count++));
    await Bun.write(join(folder, "kustomization.yaml"), text);
    return folder;
  }

  /** The YAML of an overlay. @throws with what kustomize says */
  async yaml(overlay: Overlay): Promise<string> {
    return await this.built(await this.folder(overlay));
  }

  /** The YAML of a folder. @throws with what kustomize says */
  async built(folder: string): Promise<string> {
    const child = Bun.spawn([this.#kustomize, "build", folder], {
      stdout: "pipe",
      stderr: "pipe",
    });
    const [text, why, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) {
      const asked = await Bun.file(join(folder, "kustomization.yaml")).text();
      throw new Error(`kustomize build of ${asked}: ${why}`);
    }
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
