import { fileURLToPath } from "node:url";

/**
 * A macro: it runs where an import of it is read, when the binary is made or, from source, when the module that has the
 * import is loaded, and its result stands there as a literal. So there is one way for both, and no generated file. The
 * bundler cannot be called by what it waits for, so it is a process of its own (25 ms).
 * @param entry a script or a style, from this file's folder
 * @returns the entry and all that it imports, small; it depends on nothing but those sources
 * @throws what the bundler says, as an error of the module that has the import
 */
export async function bundled(entry: string): Promise<string> {
  const file = fileURLToPath(new URL(entry, import.meta.url));
  const command = [process.execPath, "build", "--minify", "--target=browser", "--format=iife", file];
  const bundler = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [text, said, exitCode] = await Promise.all([
    new Response(bundler.stdout).text(),
    new Response(bundler.stderr).text(),
    bundler.exited,
  ]);
  if (exitCode !== 0) throw new Error(`${entry} cannot be bundled: ${said}`);
  return text;
}
