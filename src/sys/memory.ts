import { type Pointer, toArrayBuffer } from "bun:ffi";
import { loadLibc } from "./libc.ts";

/** Memory at a fixed address, outside the JavaScript heap. */
export interface NativeMemory {
  readonly address: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
}

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/**
 * What a thread has mapped, told to whoever started it: the number of mappings, then the address and the length of
 * each. A thread cannot unmap its own memory safely: its last event may still want it.
 */
export type MappingLedger = Float64Array<SharedArrayBuffer>;

let ledger: MappingLedger | null = null;

/** A ledger with room for `mappings`; what is mapped beyond that is not given back. */
export function makeLedger(mappings: number): MappingLedger {
  return new Float64Array(new SharedArrayBuffer((1 + 2 * mappings) * 8));
}

/** From here on this thread's `nativeMemory` is booked in `own`. */
export function bookMappings(own: MappingLedger): void {
  ledger = own;
}

/** Unmaps all that a thread, which has ended, had mapped. */
export function unmapBooked(own: MappingLedger): void {
  const libc = loadLibc();
  for (let at = 0; at < own[0]!; at++) libc.munmap(own[1 + 2 * at]! as Pointer, own[2 + 2 * at]!);
  own[0] = 0;
}

function book(address: number, length: number): void {
  if (ledger === null) return;
  const at = 1 + 2 * ledger[0]!;
  if (at + 1 >= ledger.length) return;
  ledger[at] = address;
  ledger[at + 1] = length;
  ledger[0]! += 1;
}

/**
 * `length` bytes of zeroed memory from mmap(2). They never move, because the kernel placed them and not the
 * collector; they are not freed while their thread lives: whoever started it unmaps them when it has ended.
 * Pages cost nothing until they are written to. Throws when the kernel has none.
 */
export function nativeMemory(length: number): NativeMemory {
  const libc = loadLibc();
  const rounded = Math.ceil(length / 4096) * 4096;
  const address = libc.mmap(0, rounded, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0) as number;
  if (address === null || address === -1 || address > 2 ** 53)
    throw new Error(`mmap of ${rounded} bytes failed`);
  book(address, rounded);
  const buffer = toArrayBuffer(address as Pointer, 0, rounded);
  return {
    address,
    bytes: new Uint8Array(buffer, 0, length),
    view: new DataView(buffer),
    words: new Int32Array(buffer),
  };
}
