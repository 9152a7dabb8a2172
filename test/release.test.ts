import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json";
import { checksums, releaseNotes, renderedManifest } from "../scripts/release.ts";
import { checkFleet, podsOf } from "./k8s/policy.ts";
import { findKustomize, K8S, PROJECT, parseObjects } from "./k8s/render.ts";

/** What a release is made of, without making one: the workflows, and the scripts that they call. */

const IMAGE = `registry.example/someone/echo-server@sha256:${"0123456789abcdef".repeat(4)}`;

/** Tools that are Go modules: they are built here and not in a test, because the first time takes long. */
const go = await findKustomize().then(
  async (kustomize) => ({
    kustomize,
    actionlint: (await Bun.$`${join(PROJECT, "scripts/actionlint")}`.text()).trim(),
  }),
  (error: Error) => {
    if (process.env["CI"] !== undefined) throw error;
    console.warn(`\nTHE WORKFLOWS AND THE RELEASE'S MANIFEST WERE NOT TESTED: ${error.message}\n`);
    return null;
  },
);

let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp("/tmp/echo-release-");
});

afterAll(async () => {
  await rm(scratch, { recursive: true });
});

async function script(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const command = [process.execPath, join(PROJECT, "scripts/release.ts"), ...args];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

describe("notes", () => {
  const changelog = "# Changelog\n\n## 1.2.3 (soon)\n\n- one\n- two\n\n## 1.2.2\n\n- old\n\n## 1.2.1\n";

  test("are the changelog's part about that version", () => {
    expect(releaseNotes(changelog, "v1.2.3", "1.2.3")).toBe("- one\n- two\n");
    expect(releaseNotes(changelog, "v1.2.2", "1.2.2")).toBe("- old\n");
  });

  test("are refused for a tag that is not this version, and where there is nothing to say", () => {
    expect(() => releaseNotes(changelog, "v1.2.2", "1.2.3")).toThrow(
      "tag v1.2.2, but package.json has version 1.2.3",
    );
    expect(() => releaseNotes(changelog, "1.2.3", "1.2.3")).toThrow("tag 1.2.3");
    expect(() => releaseNotes(changelog, "v1.2", "1.2")).toThrow('nothing under "## 1.2"');
    expect(() => releaseNotes(changelog, "v1.2.1", "1.2.1")).toThrow('nothing under "## 1.2.1"');
  });

  test("of a wrong tag are one line and an exit code", async () => {
    const { code, out, err } = await script("notes", "v0.0.0");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(`scripts/release.ts: tag v0.0.0, but package.json has version ${packageJson.version}\n`);
  });
});

test("checksums are what sha256sum checks", async () => {
  const folder = join(scratch, "files");
  await Bun.write(join(folder, "b"), new Uint8Array(1_000_000).fill(7));
  await Bun.write(join(folder, "a"), "");
  const list = await checksums(folder);
  expect(list).toMatch(/^[0-9a-f]{64} {2}a\n[0-9a-f]{64} {2}b\n$/);
  const check = Bun.spawn(["sha256sum", "--check", "--strict"], {
    cwd: folder,
    stdin: new Blob([list]),
    stdout: "pipe",
  });
  expect({ code: await check.exited, text: await new Response(check.stdout).text() }).toEqual({
    code: 0,
    text: "a: OK\nb: OK\n",
  });
});

test("an unknown platform is refused", () => {
  const { exitCode, stderr } = Bun.spawnSync([join(PROJECT, "scripts/compile"), "plan9-x64"]);
  expect({ exitCode, stderr: stderr.toString() }).toEqual({
    exitCode: 2,
    stderr:
      "scripts/compile: unknown platform plan9-x64; allowed: linux-x64, linux-arm64, darwin-x64, darwin-arm64\n",
  });
});

describe.skipIf(go === null)("the manifest", () => {
  /** The images of the servers, without repetition. */
  const imagesOf = (yaml: string): string[] => {
    const servers = podsOf(parseObjects(yaml)).filter(({ owner }) => owner !== "Pod/echo-client1");
    return [...new Set(servers.flatMap(({ spec }) => spec.containers.map(({ image }) => image)))];
  };

  test.each(["dev", "dev-nodeport"])("of %s names the image by digest, everywhere", async (overlay) => {
    const yaml = await renderedManifest(IMAGE, overlay);
    checkFleet(parseObjects(yaml));
    expect(imagesOf(yaml)).toEqual([IMAGE]);
    expect(yaml).not.toContain("echo-server:dev");
    expect(parseObjects(yaml).map(({ kind }) => kind)).toContain("Namespace");
    const folders = await Array.fromAsync(
      new Bun.Glob("dist/manifest-*").scan({ cwd: PROJECT, onlyFiles: false }),
    );
    expect(folders).toEqual([]);
  });

  test("is refused for a tag, which may name another image tomorrow", async () => {
    const { code, err } = await script("manifest", "registry.example/echo-server:1.2.3", "dev");
    expect(code).toBe(1);
    expect(err).toContain("is not an image by digest");
  });

  test("of a remote base takes the image that `images:` names", async () => {
    // A repository of its own, since a remote base is a clone: with files that lie elsewhere it would not render.
    const remote = join(scratch, "remote");
    await Bun.$`mkdir -p ${remote} && cp -r ${K8S} ${remote}/k8s && cp -r ${join(PROJECT, "bench")} ${remote}/bench`;
    const git = ["git", "-C", remote, "-c", "user.name=x", "-c", "user.email=x@example.com"];
    await Bun.$`${git} init -q && ${git} add . && ${git} commit -qm x && ${git} tag v1.2.3`;
    const [newName, digest] = IMAGE.split("@");
    const kustomization = {
      resources: [`file://${remote}//k8s/overlays/dev?ref=v1.2.3`],
      images: [{ name: "echo-server", newName, digest }],
    };
    await Bun.write(join(scratch, "mine/kustomization.yaml"), JSON.stringify(kustomization));
    const yaml = await Bun.$`${go!.kustomize} build ${join(scratch, "mine")}`.text();
    expect(imagesOf(yaml)).toEqual([IMAGE]);
  });
});

describe("the workflows", async () => {
  const folder = join(PROJECT, ".github/workflows");
  const files = (await Array.fromAsync(new Bun.Glob("*.yml").scan(folder))).sort();
  const text = (await Promise.all(files.map((file) => Bun.file(join(folder, file)).text()))).join("\n");

  test.skipIf(go === null)("pass actionlint", async () => {
    expect(files).toEqual(["ci.yml", "release.yml"]);
    const lint = Bun.spawn([go!.actionlint, "-shellcheck=", "-pyflakes=", ...files], {
      cwd: folder,
      stdout: "pipe",
    });
    const said = await new Response(lint.stdout).text();
    expect({ said, code: await lint.exited }).toEqual({ said: "", code: 0 });
  });

  test("run only what the project has", async () => {
    const scripts = [...text.matchAll(/\bbun run ([\w:]+)/g)].map(([, name]) => name!);
    expect(scripts.filter((name) => !(name in packageJson.scripts))).toEqual([]);
    expect(scripts).toContain("test");
    const paths = [...text.matchAll(/(?:scripts|\.github)\/[\w./-]+\w/g)].map(([path]) => path);
    expect(paths.filter((path) => !existsSync(join(PROJECT, path)))).toEqual([]);
    // What decides a landing here decides one there.
    const here = await Bun.file(join(PROJECT, ".ci/run")).text();
    const landing = [...here.matchAll(/\$bun run (test[\w:]*)/g)].map(([, name]) => name!);
    const elsewhere = ["test:arm64"]; // there are machines for that: they run `test`
    expect(landing.filter((name) => !scripts.includes(name) && !elsewhere.includes(name))).toEqual([]);
  });

  test("name no owner, registry or version of their own, and no action that moves with a branch", () => {
    expect(text).toMatch(/name=\$REGISTRY\/\$\{GITHUB_REPOSITORY,,\}"/);
    for (const [, host] of text.matchAll(/registry: (.*)/g)) {
      expect(host).toMatch(/^\$\{\{ vars\.REGISTRY \}\}$/);
    }
    expect(text).not.toContain(packageJson.version);
    for (const [, action, at] of text.matchAll(/uses: ([\w-]+\/[\w./-]+)@(\S+)/g)) {
      expect({ action, pinned: /^(v\d+|[0-9a-f]{40})$/.test(at!) }).toEqual({ action, pinned: true });
    }
  });
});
