import { until } from "../harness.ts";

/** Waits until a number has moved, and then stays what it is for a while. */
export async function untilStill(what: string, number: () => number): Promise<void> {
  let [before, times] = [0, 0];
  await until(what, async () => {
    await Bun.sleep(50);
    times = number() === before && before > 0 ? times + 1 : 0;
    before = number();
    return times === 4;
  });
}
