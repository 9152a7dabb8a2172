/** Loaded before the program: on SIGUSR1 its main thread throws, as a bug would. */

if (Bun.isMainThread) {
  process.on("SIGUSR1", () => {
    throw new Error("fault of a test");
  });
}
