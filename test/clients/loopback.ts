/**
 * An address of 127.0.0.0/8 that most likely nobody else on this machine uses: two copies of a test can each have
 * the same well-known port on their own.
 */
export function ownLoopback(): string {
  const [a, b, c] = crypto.getRandomValues(new Uint8Array(3));
  return `127.${64 + (a! % 128)}.${b}.${1 + (c! % 254)}`;
}
