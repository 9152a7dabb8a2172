/**
 * Bytes of the text that is made of a value: made once, however many connections are to have them, and kept for as long
 * as the value is.
 * @param make must give the same text for the same object
 */
export function encodedOnce<T extends object>(make: (value: T) => string): { bytes(value: T): Uint8Array } {
  const encoded = new WeakMap<T, Uint8Array>();
  return {
    bytes(value) {
      const made = encoded.get(value) ?? Buffer.from(make(value));
      encoded.set(value, made);
      return made;
    },
  };
}
