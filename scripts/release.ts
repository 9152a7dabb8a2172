import { mkdtemp, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { version } from "../package.json";

/**
 * What a release is made of beside its image and its binaries, each to standard output:
 *
 *     bun scripts/release.ts notes v1.2.3                      its part of CHANGELOG.md
 *     bun scripts/release.ts manifest NAME@sha256:... OVERLAY  an overlay as one file, which names the image by digest
 *     bun scripts/release.ts checksums FOLDER                  what `sha256sum --check` reads, of every file in it
 */

const PROJECT = fileURLToPath(new URL("..", import.meta.url));

/**
 * The part of the changelog that is about one version.
 * @param tag `v` and the version, which must be the one in package.json
 * @throws when they differ, or the changelog has nothing about it
 */
export function releaseNotes(changelog: string, tag: string, ofPackage: string): string {
  if (tag !== `v${ofPackage}`) throw new Error(`tag ${tag}, but package.json has version ${ofPackage}`);
  const parts = changelog.split(/^## /m).slice(1);
  const part = parts.find((text) => text.split(/[\s(]/, 1)[0] === ofPackage);
  const notes = part?.slice(part.indexOf("\n") + 1).trim() ?? "";
  if (notes === "") throw new Error(`CHANGELOG.md says nothing under "## ${ofPackage}"`);
  return `${notes}\n`;
}

/**
 * An overlay of this project as one file for `kubectl apply -f`.
 * @param image `NAME@sha256:` and 64 hex digits: a tag may name another image tomorrow
 * @param overlay a folder in `k8s/overlays`
 * @throws with what kustomize says
 */
export async function renderedManifest(image: string, overlay: string): Promise<string> {
  const [, newName, digest] = /^([^@\s]+)@(sha256:[0-9a-f]{64})$/.exec(image) ?? [];
  if (newName === undefined) throw new Error(`${image} is not an image by digest, NAME@sha256:...`);
  await Bun.$`mkdir -p ${join(PROJECT, "dist")}`;
  const folder = await mkdtemp(join(PROJECT, "dist/manifest-")); // kustomize takes relative paths alone
  try {
    const kustomization = {
      apiVersion: "kustomize.config.k8s.io/v1beta1",
      kind: "Kustomization",
      resources: [relative(folder, join(PROJECT, "k8s/overlays", overlay))],
      images: [{ name: "echo-server", newName, digest }],
    };
    await Bun.write(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
    const kustomize = (await Bun.$`${join(PROJECT, "scripts/kustomize")}`.text()).trim();
    const yaml = await Bun.$`${kustomize} build ${folder}`.text();
    return `# echo-server ${version}, k8s/overlays/${overlay}\n${yaml}`;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The SHA-256 of each file of a folder, in the form and order of `sha256sum *`. */
export async function checksums(folder: string): Promise<string> {
  const names = await Array.fromAsync(new Bun.Glob("*").scan(folder));
  const lines = names.sort().map(async (name) => {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(join(folder, name)).stream()) hash.update(chunk);
    return `${hash.digest("hex")}  ${name}\n`;
  });
  return (await Promise.all(lines)).join("");
}

async function main([what, first, second]: readonly string[]): Promise<string> {
  if (what === "notes" && first !== undefined) {
    return releaseNotes(await Bun.file(join(PROJECT, "CHANGELOG.md")).text(), first, version);
  }
  if (what === "manifest" && first !== undefined && second !== undefined) {
    return await renderedManifest(first, second);
  }
  if (what === "checksums" && first !== undefined) return await checksums(first);
  throw new Error("usage: notes TAG, manifest IMAGE OVERLAY or checksums FOLDER");
}

if (import.meta.main) {
  try {
    process.stdout.write(await main(process.argv.slice(2)));
  } catch (error) {
    console.error(`scripts/release.ts: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
