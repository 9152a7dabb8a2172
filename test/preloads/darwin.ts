/** Loaded before the program, in each of its threads: it takes the machine for one that is not Linux. */

Object.defineProperty(process, "platform", { value: "darwin" });
