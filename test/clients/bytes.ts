const BLOCK_BYTES = 65_521; // a prime: pieces of any usual size never line up with it
const BLOCK = crypto.getRandomValues(new Uint8Array(BLOCK_BYTES));

/** `length` bytes in which a piece that is missing, doubled or moved shows; another `seed`, other bytes. */
export function patternBytes(length: number, seed = 0): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let from = (seed * 7919) % BLOCK_BYTES;
  for (let at = 0; at < length; ) {
    const piece = BLOCK.subarray(from, from + length - at);
    bytes.set(piece, at);
    at += piece.length;
    from = 0;
  }
  return bytes;
}
