import type { Endpoint } from "../net/endpoint.ts";
import { formatEndpoint, hostOf } from "../net/endpoint.ts";
import type { PageFacts } from "../page/facts.ts";

/** Where a server is, as far as it matters to who wants to reach it. */
export interface Whereabouts {
  /** In a Pod. */
  readonly inCluster: boolean;
  /** This Pod's name in DNS, from within its namespace: `server1.headless`; null where it has none. */
  readonly dnsName: string | null;
  readonly pod: string | null;
  readonly namespace: string | null;
  /** An end that others reach; null for a protocol that is not served. Port and, without a name, address. */
  readonly tcp: Endpoint | null;
  readonly udp: Endpoint | null;
  /** Of all containers of this Pod. */
  readonly adminPorts: readonly number[];
}

type Command = PageFacts["commands"][number];

/** What to type, and what it does: right for where this server is. */
export function commandsFor(here: Whereabouts): Command[] {
  return [...ncCommands(here), ...askCommands(here), ...kubectlCommands(here)];
}

function ncCommands({ inCluster, dnsName, tcp, udp }: Whereabouts): Command[] {
  const from = inCluster ? "from a Pod of this namespace" : "from here";
  const nc = (flags: string, { port, ...end }: Endpoint): string =>
    shellLine("nc", ...(flags === "" ? [] : [flags]), dnsName ?? hostOf({ ...end, port }), String(port));
  return [
    ...(tcp === null
      ? []
      : [{ text: nc("", tcp), about: `By hand over TCP, ${from}: what you type comes back.` }]),
    ...(udp === null
      ? []
      : [
          {
            text: nc("-u", udp),
            about: `By hand over UDP, ${from}: type a line first, then banner and echo come.`,
          },
        ]),
  ];
}

function askCommands({ dnsName, tcp, udp }: Whereabouts): Command[] {
  const target = (scheme: string, end: Endpoint | null): string[] => {
    if (end === null) return [];
    return [`${scheme}://${dnsName === null ? formatEndpoint(end) : `${dnsName}:${end.port}`}`];
  };
  const targets = [...target("tcp", tcp), ...target("udp", udp)];
  const [first] = targets;
  if (first === undefined) return [];
  return [
    {
      text: shellLine("echo-server", "check", ...targets),
      about: "Is the way there well? New sessions, every byte compared, times, losses, who answered.",
    },
    {
      text: shellLine("echo-server", "watch", first),
      about: "Keeps flows open and says when anything changes: for a rollout, a drain, a failover.",
    },
  ];
}

function kubectlCommands({ inCluster, pod, namespace, adminPorts }: Whereabouts): Command[] {
  if (!inCluster) return [];
  const within = namespace === null ? [] : ["--namespace", namespace];
  const fleet = {
    text: shellLine("echo-server", "fleet", ...within),
    about: "From a machine with kubectl: asks from each server about each other one, by every way in.",
  };
  if (pod === null || adminPorts.length === 0) return [fleet];
  const [first] = adminPorts;
  const forward = {
    text: shellLine("kubectl", "port-forward", ...within, `pod/${pod}`, ...adminPorts.map(String)),
    about: `Brings the pages of this Pod to your machine: http://localhost:${first}/`,
  };
  return [fleet, forward];
}

/** Words as any shell takes them: names come from outside, and zsh takes an IPv6 address's brackets for a pattern. */
export function shellLine(...words: string[]): string {
  const quoted = words.map((word) =>
    /^[A-Za-z0-9._:/@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  );
  return quoted.join(" ");
}
