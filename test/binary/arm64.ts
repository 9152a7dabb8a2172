import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { PROJECT } from "../k8s/render.ts";
import { binaryTests } from "./tests.ts";

/**
 * The arm64 binary of the image and of a release, as it is compiled on another machine: `bun run test:arm64` runs it in
 * an emulator of the processor, on the files of glibc that the image has and nothing else.
 */

const ELF = 0x7f454c46;
const EM_AARCH64 = 183;

let scratch: string;
let command: readonly string[];

async function output(argv: readonly string[]): Promise<string> {
  const child = Bun.spawn([...argv], { cwd: PROJECT, stdout: "pipe", stderr: "pipe" });
  const [text, why, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${why}`);
  return text.trim();
}

beforeAll(async () => {
  scratch = await mkdtemp("/tmp/echo-arm64-");
  const binary = join(scratch, "echo-server");
  const tools = await output(["test/binary/arm64-tools"]);
  await output(["scripts/compile", "linux-arm64", binary]);
  command = [join(tools, "qemu"), "-L", join(tools, "root"), binary];
}, 600_000);

afterAll(async () => {
  await rm(scratch, { recursive: true });
});

test("it is an arm64 binary", async () => {
  const header = new DataView(await Bun.file(command.at(-1)!).slice(0, 20).arrayBuffer());
  expect([header.getUint32(0), header.getUint16(18, true)]).toEqual([ELF, EM_AARCH64]);
});

binaryTests(() => command, true);
