import type { LoopSettings } from "../../src/engine/loop.ts";
import { type Address, parseAddress } from "../../src/net/address.ts";
import { resolve } from "../../src/options/resolve.ts";
import { SERVE_OPTIONS } from "../../src/server/options.ts";
import { loopSettings } from "../../src/server/settings.ts";
import { Clock } from "../../src/state/clock.ts";

/** What the unit tests of the rules share. */

/** A clock that stands until a test moves it. */
export class HandClock extends Clock {
  override nowMs = 1_700_000_000_000;

  override tick(): number {
    return this.nowMs;
  }

  override read(): number {
    return this.nowMs;
  }

  advance(ms: number): void {
    this.nowMs += ms;
  }
}

/** The defaults, without any deadline or budget that a test did not set. */
export function settings(changes: Partial<LoopSettings> = {}): LoopSettings {
  return {
    ...loopSettings(resolve(SERVE_OPTIONS, {}, {}), {}),
    maxTcpSessions: 100,
    maxUdpSessions: 100,
    maxAdminConnections: 64,
    tcpIdleTimeoutMs: 0,
    udpIdleTimeoutMs: 0,
    udpBlockedSourcePorts: [],
    udpBannerRate: 1_000_000,
    udpBannerRatePerPrefix: 1_000_000,
    udpAmplificationMax: 1000,
    ...changes,
  };
}

/** An address that is one. */
export function ip(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new Error(`${text} is no address`);
  return address;
}

/** Bytes as the ASCII they are. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
