#!/usr/bin/env bun
// Signals first: what is imported here is evaluated before anything else is even loaded. As PID 1, which it is in a
// container, a process loses each signal that comes before it is caught.
import "./signals.ts";

await import("./process.ts");
