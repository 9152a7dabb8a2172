import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { z } from "zod";
import type { Cluster } from "./cluster.ts";
import { run, say } from "./shell.ts";

const BINARY = "usr/local/bin/echo-server";
const MB = 1_000_000;

interface Contents {
  /** Bytes of all layers, as they are unpacked. */
  readonly bytes: number;
  readonly gzippedBytes: number;
  /** Paths of all files, without folders. */
  readonly files: readonly string[];
  readonly binary: Uint8Array;
  readonly config: z.infer<typeof config>["config"];
}

const manifest = z.tuple([z.object({ Config: z.string(), Layers: z.array(z.string()) })]);
const config = z.object({
  config: z.object({
    User: z.string(),
    Entrypoint: z.array(z.string()),
    StopSignal: z.string(),
    Labels: z.record(z.string(), z.string()),
  }),
});

/** What a fleet of one binary needs of a system: glibc's files, and what says where they are from. */
const ALLOWED =
  /^(usr\/local\/bin\/echo-server|lib(64)?\/(libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|ld-linux-[\w-]+\.so\.[12])|(etc|usr\/lib)\/os-release|usr\/share\/doc\/libc6\/copyright|var\/lib\/dpkg\/status\.d\/libc6)$/;

/** What the image is: small, and the same whenever it is built. */
export function imageTests(cluster: () => Cluster): void {
  test("two builds of the image have the same binary, and nothing in it but that and glibc", async () => {
    if (cluster().archives.length === 0) {
      say("the images were not built here: neither their size nor that builds repeat is tested");
      return;
    }
    const [first, second] = await Promise.all(cluster().archives.map(read));
    expect(Bun.SHA256.hash(second!.binary, "hex")).toBe(Bun.SHA256.hash(first!.binary, "hex"));
    const bun = statSync(process.execPath).size;
    const ours = first!.binary.length;
    const megabytes = (bytes: number): string => (bytes / MB).toFixed(1);
    say(
      `image ${megabytes(first!.bytes)} MB, gzipped ${megabytes(first!.gzippedBytes)} MB; its binary ${megabytes(ours)} MB, Bun ${megabytes(bun)} MB`,
    );
    expect(first!.files.filter((name) => !ALLOWED.test(name))).toEqual([]);
    expect(first!.files.filter((name) => name.startsWith("lib"))).toHaveLength(5);
    expect(ours - bun).toBeLessThan(5 * MB);
    expect(first!.config).toMatchObject({
      User: "65532:65532",
      Entrypoint: ["echo-server"],
      Labels: { "org.opencontainers.image.title": "echo-server" },
    });
    expect(first!.config.StopSignal).toMatch(/^(SIGTERM|15)$/);
  });
}

async function read(archive: string): Promise<Contents> {
  const [{ Config, Layers }] = manifest.parse(
    JSON.parse((await run(["tar", "-xOf", archive, "manifest.json"])).stdout),
  );
  const text = (await run(["tar", "-xOf", archive, Config])).stdout;
  const layer = async (name: string): Promise<Uint8Array> =>
    new Uint8Array(await Bun.$`tar -xOf ${archive} ${name}`.quiet().arrayBuffer());
  const last = await layer(Layers.at(-1)!);
  const below = await Promise.all(Layers.slice(0, -1).map(layer));
  const all = [...below, last];
  const listed = await Promise.all(Layers.map((name) => Bun.$`tar -xOf ${archive} ${name} | tar -t`.text()));
  return {
    bytes: all.reduce((sum, { length }) => sum + length, 0),
    gzippedBytes: all.reduce((sum, bytes) => sum + Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>).length, 0),
    files: listed
      .flatMap((text) => text.trim().split("\n"))
      .map((name) => name.replace(/^\.?\//, ""))
      .filter((name) => name !== "" && !name.endsWith("/")),
    binary: new Uint8Array(
      await Bun.$`tar -xO ${BINARY} < ${new Response(last as Uint8Array<ArrayBuffer>)}`.quiet().arrayBuffer(),
    ),
    config: config.parse(JSON.parse(text)).config,
  };
}
