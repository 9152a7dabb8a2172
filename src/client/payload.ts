/**
 * Payloads that are unlike each other. Each is made of the run, the flow, its number and its size, and whoever has
 * the flow's key can make it again: so every byte that comes back is compared, and a payload that belongs elsewhere
 * says where.
 *
 *     byte 0       11..        mark: no text and no PROXY header begins so
 *     byte 1..6    run         drawn at random, 48 bits
 *     byte 7..10   flow        32 bits
 *     byte 11..16  number      of the message in its flow, 48 bits
 *     byte 17..19  check       of all before it, 24 bits: a header that is right names a payload whose rest is wrong
 *     byte 20..    pattern     pseudo-random, of all before it and the size
 *
 * Payloads under `WHOLE_BYTES` hold less: see `tellsApart`.
 */

/** What makes a flow's payloads its own. */
export interface FlowKey {
  /** From `newRun`: the same for all flows of a process's run. */
  readonly run: number;
  /** 0 to 2^32 - 1, another one for each flow of the run. */
  readonly flow: number;
}

/** What a payload that came is to the flow that got it. */
export type Reading =
  /** Every byte of it is this flow's message of that number. */
  | { readonly kind: "own"; readonly number: number }
  /** This flow's, with wrong bytes or of another size. Null: its number cannot be read any more. */
  | { readonly kind: "corrupted"; readonly number: number | null }
  /** Another flow's of this run. */
  | { readonly kind: "crossed"; readonly flow: number }
  /** Nothing that this run sent. */
  | { readonly kind: "foreign" };

/** From this size on a payload names its run, its flow and its number. */
export const WHOLE_BYTES = 20;

const MARK = 0xec;
const RUN_AT = 1;
const FLOW_AT = 7;
const NUMBER_AT = 11;
const CHECK_AT = 17;
/** A payload cut off before this many bytes does not show whose it was. */
const RUN_BYTES_TOLD = 4;
const TWO_32 = 2 ** 32;
const TWO_48 = 2 ** 48;

/** A run's identity: 48 random bits. */
export function newRun(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high! & 0xffff) * TWO_32 + low!;
}

/**
 * The payload of one message.
 * @param number of the message in its flow, from 0
 * @param size bytes, 0 or more
 */
export function makePayload(key: FlowKey, number: number, size: number): Uint8Array<ArrayBuffer> {
  return size < WHOLE_BYTES ? makeSmall(key, number, size) : makeWhole(key, number, size);
}

/**
 * What a payload that came is.
 * @param sent messages of the flow sent so far: none from this number on can come back
 * @param sizeOf the size that the message of a number was sent with
 */
export function readPayload(
  bytes: Uint8Array,
  key: FlowKey,
  sent: number,
  sizeOf: (number: number) => number,
): Reading {
  return bytes.length < WHOLE_BYTES
    ? readSmall(bytes, key, sent, sizeOf)
    : readWhole(bytes, key, sent, sizeOf);
}

/** What a payload of some size can tell. */
export interface Distinction {
  /** Messages of one flow that follow each other and are all unlike; one that is late by more is taken for a newer one. */
  readonly messages: number;
  /** The chance that foreign bytes of this size are taken for one of the flow's messages. */
  readonly mistaken: number;
  /** Whether it says which flow it belongs to. If not, one that came corrupted or crossed reads as foreign. */
  readonly namesFlow: boolean;
}

/**
 * What payloads of `size` bytes can tell. An empty one is anybody's: it can be counted, and that is all. One byte
 * tells 128 messages apart, and takes every second stranger for one of them.
 */
export function tellsApart(size: number): Distinction {
  if (size >= WHOLE_BYTES) return { messages: TWO_48, mistaken: 2 ** -112, namesFlow: true };
  if (size === 0) return { messages: 1, mistaken: 1, namesFlow: false };
  const digits = digitBytes(size);
  return { messages: 2 ** (8 * digits - 1), mistaken: 2 ** (-8 * (size - digits) - 1), namesFlow: false };
}

function makeWhole({ run, flow }: FlowKey, number: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  bytes[0] = MARK;
  putNumber(bytes, RUN_AT, 6, run);
  putNumber(bytes, FLOW_AT, 4, flow);
  putNumber(bytes, NUMBER_AT, 6, number);
  putNumber(bytes, CHECK_AT, 3, checkOf(run, flow, number));
  fillPattern(bytes.subarray(WHOLE_BYTES), seedOf(run, flow, number, size));
  return bytes;
}

function readWhole(
  bytes: Uint8Array,
  key: FlowKey,
  sent: number,
  sizeOf: (number: number) => number,
): Reading {
  const run = takeNumber(bytes, RUN_AT, 6);
  const flow = takeNumber(bytes, FLOW_AT, 4);
  const number = takeNumber(bytes, NUMBER_AT, 6);
  if (bytes[0] !== MARK || takeNumber(bytes, CHECK_AT, 3) !== checkOf(run, flow, number)) {
    return looksOwn(bytes, key) ? { kind: "corrupted", number: null } : { kind: "foreign" };
  }
  if (run !== key.run || (flow === key.flow && number >= sent)) return { kind: "foreign" };
  if (flow !== key.flow) return { kind: "crossed", flow };
  const own = equal(bytes, makePayload(key, number, sizeOf(number)));
  return { kind: own ? "own" : "corrupted", number };
}

/** Whether most of the first bytes, which are the same in all of a flow's whole payloads, are there. */
function looksOwn(bytes: Uint8Array, { run, flow }: FlowKey): boolean {
  const always = new Uint8Array(NUMBER_AT);
  always[0] = MARK;
  putNumber(always, RUN_AT, 6, run);
  putNumber(always, FLOW_AT, 4, flow);
  const compared = always.subarray(0, bytes.length);
  const same = compared.reduce((count, byte, at) => count + (bytes[at] === byte ? 1 : 0), 0);
  return compared.length >= RUN_BYTES_TOLD && same > compared.length / 2;
}

/**
 * A small payload is its number's last digits, masked by the flow's key, and then check bytes of all. The first bit is
 * always set, as in a whole one, so that no banner begins so.
 */
function makeSmall({ run, flow }: FlowKey, number: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  if (size === 0) return bytes;
  const digits = digitBytes(size);
  const modulus = 2 ** (8 * digits - 1);
  const residue = number % modulus;
  putNumber(bytes, 0, digits, modulus + ((residue + maskOf(run, flow, size)) % modulus));
  bytes.subarray(0, digits).reverse(); // the first bit first
  fillPattern(bytes.subarray(digits), seedOf(run, flow, residue, size));
  return bytes;
}

function readSmall(
  bytes: Uint8Array,
  key: FlowKey,
  sent: number,
  sizeOf: (number: number) => number,
): Reading {
  const size = bytes.length;
  const number = size === 0 ? sent - 1 : newestLike(bytes, key, sent);
  if (number >= 0 && sizeOf(number) === size && equal(bytes, makeSmall(key, number, size))) {
    return { kind: "own", number };
  }
  return looksOwn(bytes, key) ? { kind: "corrupted", number: null } : { kind: "foreign" };
}

/** The newest number sent whose last digits are these; below 0 where none is. */
function newestLike(bytes: Uint8Array, { run, flow }: FlowKey, sent: number): number {
  const digits = digitBytes(bytes.length);
  const modulus = 2 ** (8 * digits - 1);
  const first = new Uint8Array(bytes.subarray(0, digits)); // a copy: `slice` of a Buffer, as sockets give, is none
  const masked = takeNumber(first.reverse(), 0, digits) % modulus;
  const residue = (masked - (maskOf(run, flow, bytes.length) % modulus) + modulus) % modulus;
  const newest = sent - 1;
  return newest - ((((newest - residue) % modulus) + modulus) % modulus);
}

/** Bytes of a small payload that hold its number; the others are check bytes. */
function digitBytes(size: number): number {
  return size <= 2 ? size : size <= 4 ? 2 : size <= 7 ? 3 : 4;
}

function checkOf(run: number, flow: number, number: number): number {
  return seedOf(run, flow, number, 0) >>> 8;
}

function maskOf(run: number, flow: number, size: number): number {
  return seedOf(run, flow, TWO_48 - 1, size);
}

/** 32 bits that depend on every bit of all four. */
function seedOf(run: number, flow: number, number: number, size: number): number {
  let hash = 0x9e3779b9;
  for (const word of [run / TWO_32, run, flow, number / TWO_32, number, size]) {
    // A bitwise operator takes the low 32 bits of the whole part.
    hash = Math.imul(hash ^ word, 0x85ebca6b); // the mixing of MurmurHash3, Appleby 2011
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** Fills with xorshift32 (Marsaglia 2003), four bytes a step. */
function fillPattern(bytes: Uint8Array, seed: number): void {
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  let state = seed || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  bytes.set(new Uint8Array(words.buffer, 0, bytes.length));
}

/** Little-endian, as are the words of the pattern on every machine that Bun runs on. */
function putNumber(bytes: Uint8Array, at: number, length: number, value: number): void {
  for (let index = 0, rest = value; index < length; index++, rest = Math.floor(rest / 256)) {
    bytes[at + index] = rest % 256;
  }
}

function takeNumber(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let index = length - 1; index >= 0; index--) value = value * 256 + bytes[at + index]!;
  return value;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
