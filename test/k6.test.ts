import { beforeAll, describe, expect, test } from "bun:test";
import { basename, dirname, join, relative } from "node:path";
import { z } from "zod";
import { findKustomize, K8S, type KubernetesObject, PROJECT, parseObjects, Renderer } from "./k8s/render.ts";

/** The k6 scripts without k6, which `bun run test:k6` runs: their types, and the overlays that carry them. */

const BENCH = join(PROJECT, "bench");

test("the scripts are typed", () => {
  const tsc = join(PROJECT, "node_modules/.bin/tsc");
  const { stdout, exitCode } = Bun.spawnSync([
    tsc,
    "--noEmit",
    "-p",
    join(PROJECT, "test/k6/scripts.tsconfig.json"),
  ]);
  expect({ exitCode, stdout: stdout.toString() }).toEqual({ exitCode: 0, stdout: "" });
});

const restricted = {
  runner: z.looseObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
  }),
  pod: z.looseObject({
    runAsNonRoot: z.literal(true),
    seccompProfile: z.strictObject({ type: z.literal("RuntimeDefault") }),
  }),
};

const pod = z.looseObject({
  image: z.string().regex(/:(?!latest)[\w.-]+$/),
  automountServiceAccountToken: z.literal("false"),
  securityContext: restricted.pod,
  containerSecurityContext: restricted.runner,
});

const volume = z.looseObject({
  name: z.string(),
  configMap: z
    .strictObject({
      name: z.string(),
      items: z.array(z.strictObject({ key: z.string(), path: z.string() })),
    })
    .optional(),
});

type TestRun = z.infer<typeof testRun>;
const testRun = z.strictObject({
  parallelism: z.int().min(2),
  script: z.strictObject({ localFile: z.string() }),
  runner: pod.extend({
    volumes: z.array(volume),
    volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })),
    env: z.array(z.strictObject({ name: z.string(), value: z.string() })),
    resources: z.strictObject({
      requests: z.strictObject({ cpu: z.string(), memory: z.string() }),
      limits: z.strictObject({ cpu: z.string(), memory: z.string() }),
    }),
  }),
  starter: pod,
});

/** What is in a runner's file system of the ConfigMap's `data`, by path: what the operator mounts is what the TestRun says. */
function filesIn({ runner }: TestRun, data: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    runner.volumeMounts.flatMap(({ name, mountPath }) => {
      const items = runner.volumes.find((volume) => volume.name === name)?.configMap?.items ?? [];
      return items.map(({ key, path }) => [join(mountPath, path), data[key]!] as const);
    }),
  );
}

/** Each with what it aims at. */
const OVERLAYS: [string, string][] = [
  ["load", "echo-server.echo-server.svc.cluster.local:1234"],
  ["load-pool", "pool.echo-server.svc.cluster.local:1234"],
];

describe.each(OVERLAYS)("overlays/%s", (overlay, target) => {
  let objects: readonly KubernetesObject[];
  let spec: TestRun;
  /** Every script and module by its path in a runner. */
  let files: ReadonlyMap<string, string>;

  const find = (kind: string): KubernetesObject => {
    const found = objects.filter((object) => object.kind === kind);
    if (found.length !== 1) throw new Error(`${found.length} of kind ${kind}`);
    return found[0]!;
  };

  beforeAll(async () => {
    const build = Bun.spawnSync([await findKustomize(), "build", join(K8S, "overlays", overlay)]);
    if (build.exitCode !== 0) throw new Error(build.stderr.toString());
    objects = parseObjects(build.stdout.toString());
    spec = testRun.parse(find("TestRun").spec);
    files = filesIn(spec, find("ConfigMap").data!);
  }, 300_000); // the first time builds kustomize

  test("is a TestRun with its scripts in a namespace of its own", () => {
    expect(objects.map(({ kind }) => kind).sort()).toEqual(["ConfigMap", "Namespace", "TestRun"]);
    expect(find("Namespace").metadata.name).toBe("echo-load");
    expect(find("TestRun").metadata.namespace).toBe("echo-load");
    expect(find("ConfigMap").metadata.namespace).toBe("echo-load");
    const mounted = spec.runner.volumes.flatMap(({ configMap }) => configMap?.name ?? []);
    expect(mounted).toEqual([find("ConfigMap").metadata.name]);
    expect([...files.keys()]).toContain(spec.script.localFile);
  });

  test("puts every script and module, whole, where it is in bench/, and what each imports where it looks", async () => {
    const root = dirname(spec.script.localFile);
    const wanted = ["tcp*.js", "k6/*.js"].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(BENCH)]);
    expect([...files.keys()].sort()).toEqual(wanted.map((name) => join(root, name)).sort());
    for (const [path, text] of files) {
      expect(text).toBe(await Bun.file(join(BENCH, relative(root, path))).text());
      for (const [, imported] of text.matchAll(/^import .* from "(\..*)";$/gm)) {
        expect([...files.keys()]).toContain(join(dirname(path), imported!));
      }
    }
  });

  test("gives its script settings that it has, and enough VUs for every runner", () => {
    const read = new Set<string>();
    for (const name of [basename(spec.script.localFile), "k6/session.js", "k6/report.js"]) {
      const calls = files
        .get(join(dirname(spec.script.localFile), name))!
        .matchAll(/\b(?:whole|word|duration|addresses|path)\(\s*"([A-Z]+)"/g);
      for (const [, setting] of calls) read.add(setting!);
    }
    const env = new Map(spec.runner.env.map(({ name, value }) => [name, value]));
    const others = ["XDG_CACHE_HOME", "K6_NO_USAGE_REPORT"];
    expect([...env.keys()].filter((name) => !others.includes(name) && !read.has(name))).toEqual([]);
    expect(env.get("TARGET")).toBe(target);
    expect(Number(env.get("VUS"))).toBeGreaterThanOrEqual(spec.parallelism);
    expect(Number(env.get("RATE"))).toBeGreaterThanOrEqual(spec.parallelism);
  });
});

test("the fleet has those Services under those ports", async () => {
  await using renderer = await Renderer.start();
  const objects = await renderer.objects({ path: "overlays/dev", components: ["pool"] });
  const addresses = objects.flatMap((object) => {
    if (object.kind !== "Service") return [];
    const { ports } = z.looseObject({ ports: z.array(z.looseObject({ port: z.int() })) }).parse(object.spec);
    const { name, namespace } = object.metadata;
    return ports.map(({ port }) => `${name}.${namespace}.svc.cluster.local:${port}`);
  });
  for (const [, target] of OVERLAYS) expect(addresses).toContain(target);
});
