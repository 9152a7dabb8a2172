/** Time series as an alert would see them, and what is to come of them: the words of `alerts.ts`. */

/** Seconds between samples, and between evaluations. */
export const STEP = 15;
export const MINUTE = 60 / STEP;
export const FLEET = "echo-two";

/** A time series in promtool's notation: `1x8` is 1 nine times, `0+30x8` grows, `stale` is a target that is gone. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: string;
}

export interface Case {
  readonly what: string;
  readonly series: readonly Series[];
  /**
   * Minutes from the start at which it must not fire yet, and at which it must, and as how many alerts (1); null where
   * it never may.
   */
  readonly fires: { readonly notYet: number; readonly by: number; readonly alerts?: number } | null;
}

export const target = (pod: string, container = "tcp", namespace = FLEET): Record<string, string> => ({
  namespace,
  job: "echo-server",
  pod,
  container,
  app_kubernetes_io_component: pod.startsWith("pool") ? "pool" : "server",
});

export const up = (pod: string, values: string, namespace = FLEET): Series[] =>
  ["tcp", "udp"].map((container) => ({ name: "up", labels: target(pod, container, namespace), values }));

export const always = `1x${30 * MINUTE}`;
export const goesAt = (minute: number): string => `1x${minute * MINUTE - 1} stale`;
export const one = (name: string, values: string, labels: Record<string, string> = {}): Series[] => [
  { name, labels: { ...target("server1-a"), ...labels }, values },
];

export const LASTS = 30 * MINUTE;

/** Well for five minutes, and then not. */
export const failsAt5 = (failing: string): string =>
  `${failing === "0" ? 1 : 0}x${5 * MINUTE - 1} ${failing}x${LASTS}`;
