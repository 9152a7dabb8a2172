/** Text that is made of a value, and its bytes: each once, however many connections are to have them. */
export interface EncodedOnce<T> {
  text(value: T): string;
  bytes(value: T): Uint8Array;
}

/** @param make must give the same text for the same object; both are kept for as long as the object is */
export function encodedOnce<T extends object>(make: (value: T) => string): EncodedOnce<T> {
  const texts = new WeakMap<T, string>();
  const encoded = new WeakMap<T, Uint8Array>();
  const text = (value: T): string => {
    const made = texts.get(value) ?? make(value);
    texts.set(value, made);
    return made;
  };
  const bytes = (value: T): Uint8Array => {
    const made = encoded.get(value) ?? Buffer.from(text(value));
    encoded.set(value, made);
    return made;
  };
  return { text, bytes };
}
