import { describe, expect, test } from "bun:test";
import { Identity } from "../../src/diagnose/mesh/identity.ts";
import { endpoint } from "../client/fixtures.ts";
import { bannerOf } from "../watch/fixtures.ts";

const TCP = endpoint("10.0.0.2:1234");
const UDP = endpoint("10.0.0.2:5678");
const OWN_TCP = bannerOf("10.0.0.2:1234");
const OWN_UDP = bannerOf("10.0.0.2:5678");
const INTERVAL_MS = 1000;

function identity(isWanted = true): Identity {
  return new Identity(isWanted, INTERVAL_MS, 1000);
}

describe("who answers", () => {
  test("is the peer if its banner names the end that was asked, address and port", () => {
    expect(identity().ofSession(OWN_TCP, TCP, 0)).toBeNull();
    expect(identity().ofSession(bannerOf("10.0.0.3:1234"), TCP, 0)).toBe("other_server");
    expect(identity().ofSession(bannerOf("10.0.0.2:1235"), TCP, 0)).toBe("other_server");
    expect(identity().ofSession(null, TCP, 0)).toBe("no_banner");
    expect(identity().ofFlow(OWN_UDP, UDP, 0)).toBeNull();
    expect(identity().ofFlow(bannerOf("10.0.0.3:5678"), UDP, 0)).toBe("other_server");
  });

  test("is nobody's business where no banner is wanted", () => {
    const any = identity(false);
    expect([any.ofSession(null, TCP, 0), any.ofFlow(null, UDP, 0), any.lacks(null)]).toEqual([
      null,
      null,
      false,
    ]);
    expect(any.ofSession(bannerOf("10.0.0.3:1234"), TCP, 0)).toBeNull();
  });
});

describe("a UDP flow that was told nothing", () => {
  test("counts as long as the peer's other flows say who it is", () => {
    const peer = identity();
    expect(peer.ofFlow(null, UDP, 0)).toBe("no_banner");
    peer.ofSession(OWN_TCP, TCP, 100);
    expect(peer.ofFlow(null, UDP, 200)).toBeNull();
    expect(peer.ofFlow(null, UDP, 100 + 4 * INTERVAL_MS)).toBeNull();
    expect(peer.ofFlow(null, UDP, 101 + 4 * INTERVAL_MS)).toBe("no_banner");
  });

  test("does not count once one of them said otherwise", () => {
    const peer = identity();
    peer.ofSession(OWN_TCP, TCP, 0);
    peer.ofSession(bannerOf("10.0.0.3:1234"), TCP, 100);
    expect(peer.ofFlow(null, UDP, 200)).toBe("no_banner");
  });

  test("counts for a minute in all, until one is told again", () => {
    const peer = identity();
    const faultAt = (ms: number): string | null => {
      peer.ofSession(OWN_TCP, TCP, ms);
      return peer.ofFlow(null, UDP, ms);
    };
    expect([0, 30_000, 60_000].map(faultAt)).toEqual([null, null, null]);
    expect([60_001, 600_000].map(faultAt)).toEqual(["no_banner", "no_banner"]);
    expect(peer.ofFlow(OWN_UDP, UDP, 600_001)).toBeNull();
    expect([600_002, 660_000].map(faultAt)).toEqual([null, null]);
  });
});
