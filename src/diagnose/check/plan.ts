import type { Sockets } from "../../client/sockets.ts";
import type { Address } from "../../net/address.ts";
import type { Endpoint } from "../../net/endpoint.ts";
import type { Protocol } from "../result.ts";

/** How each address is asked. All times in ms, all sizes in bytes. Plain data: it goes to a Worker by message. */
export interface CheckSettings {
  /** New sessions, each from a source port of its own: 1 where `source.port` is set, since what leaves from it is one flow. */
  readonly flows: number;
  /** Echoes of a flow. */
  readonly count: number;
  /** Payload of an echo. */
  readonly size: number;
  /** From one echo's sending to the next one's, once the flow was answered. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Payload of the one large message of TCP; 0 for none. */
  readonly bulkBytes: number;
  /** Whether to find out what sizes pass, each way. */
  readonly mtu: boolean;
  readonly source: { readonly address?: Address; readonly port?: number };
}

/** One address that is asked by one protocol. */
export interface Asked {
  /** As it was written: `udp://echo-server`. */
  readonly target: string;
  readonly protocol: Protocol;
  /** The host in it. */
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Null where `name` is an address. */
  readonly resolveMs: number | null;
}

/** What a check of one address works with. */
export interface CheckContext {
  readonly settings: CheckSettings;
  readonly sockets: Sockets;
  /** Aborted when the person has had enough. */
  readonly signal: AbortSignal;
  /** Told now and then how far this address is, 0 to 1. */
  progress(share: number): void;
}
