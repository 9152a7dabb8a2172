import { arrivedOf, SIZE_MAX, type Sized, UDP_HEADER } from "./look.ts";
import { fragmentData } from "./sizes.ts";
import type { PathKind } from "./stretches.ts";

/**
 * Paths that lose packets at random. A datagram in 45 fragments dies with any one of them, so such a path loses large
 * ones again and again, and no size can be blamed for it.
 */

/** Packets of sizes that pass, each way, and tries that failed of them before one was answered. */
export interface Loss {
  readonly packets: number;
  readonly lost: number;
}

/** So often a size is tried before it counts as lost; on a path that loses at random more often. */
const TRIES = 3;
const TRIES_ON_LOSS = 6;

/** From this share of packets on a path loses at random. */
const RANDOM_LOSS = 0.002;

/** A size may be called lost by mere chance so often; it is, with its neighbours, asked twice over. */
const CHANCE_MAX = 1e-5;
const ASKED = 2;

/** The share is measured of few packets, and several that die at once count once. */
const MARGIN = 1.5;

/**
 * What was lost of sizes that pass. Of echoes in fragments only what was lost at a second look counts: at the first, a server
 * may have had to be told that the way back is narrow, which costs the echo that it is told of.
 * @param fits largest payload that the interface takes whole
 */
export function lossOf(sizes: Iterable<Sized>, fits: number, kind: PathKind): Loss {
  let packets = 0;
  let lost = 0;
  for (const sized of sizes) {
    const look = arrivedOf(sized);
    if (look?.back !== "whole" && !(look?.back === "cut" && sized.looks > 1)) continue;
    packets += (look.failed + 1) * packetsOf(sized.size, fits, kind);
    lost += look.failed;
  }
  return { packets, lost };
}

/**
 * Sizes to look at once more, to learn how much the path loses at random: all that come in fragments, once any datagram had
 * to be sent again. They are many packets, and one that was lost by accident must not stand for a share.
 */
export function unsureSizes(sizes: readonly Sized[]): number[] {
  const isPlain = sizes.every((sized) => !((arrivedOf(sized)?.failed ?? 0) > 0));
  if (isPlain) return [];
  return sizes
    .filter((sized) => sized.looks === 1 && arrivedOf(sized)?.back === "cut")
    .map(({ size }) => size);
}

/** Whether packets are lost at random, so that what is lost must be tried more often before anything follows from it. */
export function isRandom(loss: Loss): boolean {
  return shareOf(loss) > RANDOM_LOSS;
}

/** Tries after which a size that is lost is lost. */
export function triesInAll(loss: Loss): number {
  return ASKED * triesFor(loss);
}

/** Tries that it takes to call a size lost. */
export function triesFor(loss: Loss): number {
  return isRandom(loss) ? TRIES_ON_LOSS : TRIES;
}

/** The largest payload of which "lost" would not be mere chance; 0 where that cannot be said of any. */
export function measurableUpTo(loss: Loss, fits: number, kind: PathKind): number {
  const data = fragmentData(fits + kind.headers, kind.ipv6);
  const isMeasurable = (size: number): boolean => {
    const dies = 1 - (1 - shareOf(loss)) ** packetsOf(size, fits, kind);
    return dies ** triesInAll(loss) <= CHANCE_MAX;
  };
  if (isMeasurable(SIZE_MAX)) return SIZE_MAX;
  for (let fragments = Math.floor(SIZE_MAX / data); fragments >= 2; fragments--) {
    const size = fragments * data - UDP_HEADER;
    if (size > fits && isMeasurable(size)) return size;
  }
  return isMeasurable(fits) ? fits : 0;
}

/** Packets of a datagram and of its echo. */
function packetsOf(size: number, fits: number, { headers, ipv6 }: PathKind): number {
  return size <= fits ? 2 : 2 * Math.ceil((size + UDP_HEADER) / fragmentData(fits + headers, ipv6));
}

function shareOf({ packets, lost }: Loss): number {
  return lost === 0 ? 0 : Math.min(1, (MARGIN * lost) / packets);
}
