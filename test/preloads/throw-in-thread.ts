/** Loaded before the program, and by that in each thread that it starts: such a thread throws after a while, as a bug would. */

if (Bun.isMainThread) {
  const { Worker } = globalThis;
  globalThis.Worker = class extends Worker {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, { ...options, preload: [import.meta.path] });
    }
  };
} else {
  setTimeout(() => {
    throw new Error("fault of a test");
  }, 100);
}
