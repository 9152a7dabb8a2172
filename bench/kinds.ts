import { parseAddress } from "../src/net/address.ts";
import type { Kind } from "../src/options/kinds.ts";

/** Kinds of value that only the bench has; the others are those of the server's options. */

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const UNITS = { "": 1, k: 1000, M: 1_000_000 } as const;

/** A whole number that may be written short: `20000`, `20k`, `1.5M`. */
export function amount(min: number, max: number): Kind<number> {
  return {
    placeholder: "n",
    allowed: `a whole number such as 500, 20k or 1M, from ${min} to ${max}`,
    parse(text) {
      const match = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text);
      if (match === null) return undefined;
      const value = Math.round(Number(match[1]) * UNITS[match[2] as keyof typeof UNITS] * 1000) / 1000;
      return Number.isInteger(value) && value >= min && value <= max ? value : undefined;
    },
  };
}

/** A name or an address with a port: `server1.headless:1234`, `10.0.0.7:31234`, `[fd00::1]:1234`. */
export const hostAndPort: Kind<HostPort> = {
  placeholder: "host:port",
  allowed: "host:port, or [IPv6]:port",
  parse(text) {
    const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || port < 1 || port > 65_535) return undefined;
    return match?.[1] === undefined || parseAddress(host) !== null ? { host, port } : undefined;
  },
};

/** Names, separated by commas, each one of some. */
export function namesOf(...names: readonly string[]): Kind<readonly string[]> {
  return {
    placeholder: "names",
    allowed: `${names.join(", ")}; several are separated by commas`,
    namedInHelp: true,
    parse(text) {
      const given = text.split(",");
      return given.every((name) => names.includes(name)) ? given : undefined;
    },
  };
}

/** The command of another server, with places for its ports: a list of one, which grows where the flag is given again. */
export const peerCommand: Kind<readonly string[]> = {
  placeholder: "command",
  allowed: "a command with {tcp} or {udp} where its ports go",
  namedInHelp: true,
  parse: (text) => (text.includes("{tcp}") || text.includes("{udp}") ? [text] : undefined),
};

/** A file to write. */
export const path: Kind<string> = {
  placeholder: "file",
  allowed: "the path of a file",
  namedInHelp: true,
  parse: (text) => (text === "" ? undefined : text),
};
