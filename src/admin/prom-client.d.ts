/**
 * Parts of prom-client loaded by themselves. Its front door also loads the cluster and push gateway modules, and
 * with them node:cluster and node:http: 12 MB of resident memory that a scrape has no use for.
 */
declare module "prom-client/lib/registry.js" {
  export { Registry as default } from "prom-client";
}
declare module "prom-client/lib/counter.js" {
  export { Counter as default } from "prom-client";
}
declare module "prom-client/lib/gauge.js" {
  export { Gauge as default } from "prom-client";
}
declare module "prom-client/lib/histogram.js" {
  export { Histogram as default } from "prom-client";
}
declare module "prom-client/lib/metrics/*" {
  import type { Registry } from "prom-client";

  export default function register(registry: Registry): void;
}
