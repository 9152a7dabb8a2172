/** Waits in a thread whose loop must know of it; returns early where the signal aborts. */
export { sleep as pause } from "../../client/deadlines.ts";
