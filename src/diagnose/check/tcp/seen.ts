import type { TcpInfo } from "../../../client/dial.ts";
import type { Failure } from "../../../client/failure.ts";
import { RoundTrips } from "../../../client/round-trips.ts";
import type { Banner } from "../../../net/banner.ts";
import type { Endpoint } from "../../../net/endpoint.ts";
import type { Asked, CheckSettings } from "../plan.ts";

/** What was seen of one address by TCP, before anything is judged. Times in ms, sizes in bytes. */
export interface TcpSeen {
  readonly asked: Asked;
  readonly settings: CheckSettings;
  /** Those that came to their end, in the order in which they were begun. */
  readonly flows: readonly FlowSeen[];
  /** Whether the sockets were made by system calls, which tell who sent a refusal. */
  readonly bySystemCalls: boolean;
  /** Whether somebody had enough before it was done. */
  readonly interrupted: boolean;
  /** Of the interface that the sessions leave by; null where it is not known. */
  readonly interfaceMtu: number | null;
}

/** One session. */
export interface FlowSeen {
  /** This end; its port is 0 where the system did not tell it. Null where not even the address is known. */
  readonly own: Endpoint | null;
  /** Null where there was no connection. */
  readonly connectMs: number | null;
  /** From the end of the connect. */
  readonly firstByteMs: number | null;
  readonly banner: Banner | null;
  /** Echoes asked for, and those that came back whole, of `settings.size` each. */
  readonly sent: number;
  readonly received: number;
  readonly roundTrips: RoundTrips;
  /** Why it ended before all was done; null where it did not. `corrupted` comes with `wrong`. */
  readonly failure: Failure | null;
  readonly wrong: Wrong | null;
  /** SYNs sent again; null where the kernel does not say. */
  readonly synRetransmits: number | null;
  /** What the kernel knew after the echoes and before the bulk; null where it does not say. */
  readonly info: TcpInfo | null;
  /** Segments sent again until the end, the SYN not included. */
  readonly retransmits: number | null;
  /** Null where this session was not the one of the address that carries it. */
  readonly bulk: BulkSeen | null;
}

/** What came in place of a message. */
export interface Wrong {
  readonly what: "corrupted" | "duplicated" | "foreign";
  /** Whether it is the message of another session of this check. */
  readonly crossed: boolean;
  /** The message that was due, from 0, and its first byte that is another one. */
  readonly message: number;
  readonly byte: number;
  /** The beginning of what came. */
  readonly received: Uint8Array;
}

/** The many bytes of one session, and the half-close after them. */
export interface BulkSeen {
  /** Bytes that were to come back, and that did. 0 of 0: no bulk was asked for. */
  readonly bytes: number;
  readonly received: number;
  /** Whether bytes were missing, and none came or went for `stallMs`. */
  readonly stalled: boolean;
  readonly stallMs: number;
  /** Segments sent again meanwhile, and bytes that the far end's kernel said it has; null where not told. */
  readonly retransmits: number | null;
  readonly acknowledged: number | null;
  /** Largest IP packet on the way there, as known after all of it. */
  readonly pathMtu: number | null;
  /** Null where there was no half-close. */
  readonly tail: TailSeen | null;
}

/** What came after this end had said that it sends no more. */
export interface TailSeen {
  readonly kind: "whole" | "cut" | "no_end";
  readonly bytes: number;
  readonly due: number;
  /** Null where no end came within `stallMs`. */
  readonly endedBy: "fin" | "reset" | null;
}

/** What became of the bulk; null where no session came so far. */
export function bulkOf({ flows }: Pick<TcpSeen, "flows">): BulkSeen | null {
  return flows.find((flow) => flow.bulk !== null)?.bulk ?? null;
}

/** The round trips of all sessions. */
export function roundTripsOf(flows: readonly FlowSeen[]): RoundTrips {
  const all = new RoundTrips();
  for (const flow of flows) all.addAll(flow.roundTrips);
  return all;
}

/** Whether it got one right echo at least. */
export function isAnswered(flow: FlowSeen): boolean {
  return flow.received > 0;
}
