import { formatAddress, isUnicast, parseAddress, parseCidr } from "../net/address.ts";
import { OBJECT_NAME } from "../net/name.ts";

/** A kind of value: how its text is read, and how an error says what is allowed. */
export interface Kind<T> {
  /** Stands for the value in help: `port`, `duration`. */
  readonly placeholder: string;
  /** Completes the sentence "allowed: ...". */
  readonly allowed: string;
  /** An option's own help names every value: `allowed` would only repeat it. */
  readonly namedInHelp?: true;
  /** The value, or undefined when the text is none. */
  parse(text: string): T | undefined;
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** What is allowed beside a number and its unit, and how much. */
interface DurationLimits {
  /** The shortest one allowed. */
  readonly minMs: number;
  /** The longest one allowed, whole hours; a day unless it says otherwise. */
  readonly maxMs?: number;
  /** `off` is allowed too, and is 0. */
  readonly orOff?: boolean;
  /** A number without a unit is allowed too: seconds. */
  readonly bareSeconds?: boolean;
}

/** A time in milliseconds: `500ms`, `30s`, `5m`, `1h`, fractions too. */
export function duration({
  minMs,
  maxMs = 24 * UNIT_MS.h,
  orOff = false,
  bareSeconds = false,
}: DurationLimits): Kind<number> {
  const shortest = minMs % 1000 === 0 ? `${minMs / 1000}s` : `${minMs}ms`;
  const range = `from ${shortest} to ${maxMs / UNIT_MS.h}h`;
  const others = `${orOff ? ", or off" : ""}${bareSeconds ? "; a bare number is seconds" : ""}`;
  return {
    placeholder: "duration",
    allowed: `a duration such as 500ms, 30s, 5m or 1h, ${range}${others}`,
    parse(text) {
      if (orOff && text === "off") return 0;
      const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(bareSeconds && /\d$/.test(text) ? `${text}s` : text);
      if (match === null) return undefined;
      const ms = Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
      return inRange(ms, minMs, maxMs);
    },
  };
}

const UNIT_BYTES = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** A number of bytes: `65536`, `64KiB`, `1MiB`. @param orOff `off` is allowed too, and is 0 */
export function size(min: number, max: number, { orOff = false } = {}): Kind<number> {
  return {
    placeholder: "size",
    allowed: `a size such as 65536, 64KiB or 1MiB, from ${min} to ${max} bytes${orOff ? ", or off" : ""}`,
    parse(text) {
      if (orOff && text === "off") return 0;
      const match = /^(\d+)(|B|KiB|MiB|GiB)$/.exec(text);
      if (match === null) return undefined;
      return inRange(Number(match[1]) * UNIT_BYTES[match[2] as keyof typeof UNIT_BYTES], min, max);
    },
  };
}

/** A whole number. `words` are texts that stand for numbers: `{ unlimited: 0 }`. */
export function integer(
  min: number,
  max: number,
  words: Readonly<Record<string, number>> = {},
): Kind<number> {
  const named = Object.keys(words).map((word) => `, or ${word}`);
  return {
    placeholder: "n",
    allowed: `a whole number from ${min} to ${max}${named.join("")}`,
    parse(text) {
      if (Object.hasOwn(words, text)) return words[text];
      return /^\d+$/.test(text) ? inRange(Number(text), min, max) : undefined;
    },
  };
}

/** A number that may have a fraction. */
export function decimal(min: number, max: number): Kind<number> {
  return {
    placeholder: "n",
    allowed: `a number from ${min} to ${max}`,
    parse: (text) => (/^\d+(\.\d+)?$/.test(text) ? inRange(Number(text), min, max) : undefined),
  };
}

/** A port to listen on: 0 for any free one; `off` is null. */
export const listenPort: Kind<number | null> = {
  placeholder: "port",
  allowed: "a port from 0 (any free one) to 65535, or off",
  parse: (text) => (text === "off" ? null : parsePort(text, 0)),
};

/** One port that somebody has. */
export const port: Kind<number> = {
  placeholder: "port",
  allowed: "a port from 1 to 65535",
  parse: (text) => parsePort(text, 1),
};

/** One port that somebody has; `off` is null. */
export const portOrOff: Kind<number | null> = {
  placeholder: "port",
  allowed: "a port from 1 to 65535, or off",
  parse: (text) => (text === "off" ? null : parsePort(text, 1)),
};

/** A name of a Pod, a node or a host. */
export const objectName: Kind<string> = {
  placeholder: "name",
  allowed: "1 to 253 letters, digits, dots, hyphens and underscores, letters or digits at both ends",
  parse: (text) => (OBJECT_NAME.test(text) ? text : undefined),
};

/** Ports, separated by commas; `none` is the empty list. */
export const portList: Kind<readonly number[]> = {
  placeholder: "ports",
  allowed: "ports from 1 to 65535 separated by commas, or none",
  parse: (text) => (text === "none" ? [] : all(text, (part) => parsePort(part, 1))),
};

/** A port that goes by a name. */
export interface NamedPort {
  readonly name: string;
  readonly port: number;
}

/** How many named ports a list may have. */
const NAMED_PORTS_MAX = 8;

/** Ports by name, separated by commas, each name and each port once; `none` is the empty list. */
export const namedPorts: Kind<readonly NamedPort[]> = {
  placeholder: "name:port",
  allowed: `names and ports such as tcp:8080,udp:8081, each once and at most ${NAMED_PORTS_MAX}, or none`,
  parse(text) {
    if (text === "none") return [];
    const named = all(text, parseNamedPort);
    if (named === undefined || named.length > NAMED_PORTS_MAX) return undefined;
    const once = (values: readonly unknown[]): boolean => new Set(values).size === values.length;
    return once(named.map(({ name }) => name)) && once(named.map((each) => each.port)) ? named : undefined;
  },
};

/** One IP address. */
export const ipAddress: Kind<string> = {
  placeholder: "address",
  allowed: "an IP address of this machine, such as 10.0.0.7 or fd00::1",
  parse(text) {
    const address = text.includes("%") ? null : parseAddress(text);
    return address === null || !isUnicast(address) ? undefined : formatAddress(address);
  },
};

/** IP addresses, separated by commas, each once. */
export const addressList: Kind<readonly string[]> = {
  placeholder: "address",
  allowed: "an IP address such as ::, 0.0.0.0 or fd00::1; several are separated by commas",
  parse(text) {
    const addresses = all(text, (part) => {
      if (part.includes("%")) return undefined; // a zone would need an interface's index: not supported
      const address = parseAddress(part);
      return address === null ? undefined : formatAddress(address);
    });
    return addresses && [...new Set(addresses)];
  },
};

/** CIDR blocks, separated by commas; `any` is the empty list. */
export const cidrList: Kind<readonly string[]> = {
  placeholder: "cidrs",
  allowed:
    "CIDR blocks such as 10.0.0.0/8 or fd00::/8 (no bits behind the prefix) separated by commas, or any",
  parse: (text) => (text === "any" ? [] : all(text, (part) => (parseCidr(part) === null ? undefined : part))),
};

/** One of some words. */
export function oneOf<const Word extends string>(placeholder: string, ...words: Word[]): Kind<Word> {
  return {
    placeholder,
    allowed: words.join(", "),
    namedInHelp: true,
    parse: (text) => words.find((word) => word === text),
  };
}

/** Some of some words, separated by commas and each once; `none` is the empty list. */
export function someOf<const Word extends string>(...words: Word[]): Kind<readonly Word[]> {
  return {
    placeholder: "names",
    allowed: `${words.join(", ")} (several are separated by commas), or none`,
    parse(text) {
      if (text === "none") return [];
      const chosen = all(text, (part) => words.find((word) => word === part));
      return chosen && [...new Set(chosen)];
    },
  };
}

/** One list of the lists that a flag gave one by one, each value once. */
export function eachOnce<T>(lists: readonly (readonly T[])[]): readonly T[] {
  return [...new Set(lists.flat())];
}

/** Any text that is not empty: a name, a file. @param placeholder stands for it in help */
export function text(placeholder: string): Kind<string> {
  return {
    placeholder,
    allowed: `a ${placeholder}`,
    namedInHelp: true,
    parse: (given) => (given === "" ? undefined : given),
  };
}

/** A flag without a value; its variable says `true` or `false`. */
export const toggle: Kind<boolean> = {
  placeholder: "",
  allowed: "true or false",
  namedInHelp: true,
  parse: (text) => (text === "true" ? true : text === "false" ? false : undefined),
};

/** The name is a DNS label, as a container has one (RFC 1123, 2.1). */
function parseNamedPort(part: string): NamedPort | undefined {
  const [, name, digits] = /^([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):(\d+)$/.exec(part) ?? [];
  const found = digits === undefined ? undefined : parsePort(digits, 1);
  return found === undefined ? undefined : { name: name!, port: found };
}

function parsePort(text: string, min: number): number | undefined {
  return /^\d{1,5}$/.test(text) ? inRange(Number(text), min, 65535) : undefined;
}

function inRange(value: number, min: number, max: number): number | undefined {
  return value >= min && value <= max ? value : undefined;
}

/** Every part of a list, or undefined if one of them is wrong or missing. */
function all<T>(text: string, parse: (part: string) => T | undefined): T[] | undefined {
  const values: T[] = [];
  for (const part of text.split(",")) {
    const value = parse(part.trim());
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}
