import { SO_RCVBUF, SOL_SOCKET } from "../../sys/libc.ts";
import { setOption } from "../../sys/socket.ts";

/**
 * Bun reads up to this much at once, whatever one asks for: what a reader that stops can leave unsent. A receive
 * window smaller than that is the only way to be handed less.
 */
export const READ_BYTES_MAX = 512 * 1024;

/** Smaller chunks are cheaper to leave to the collector. */
export const RELEASE_BYTES_MIN = 4096;

/** Above this many bytes queued in all sessions, each session gets a narrow receive window and so can queue less. */
export const QUEUED_BYTES_PRESSURE = 32 * 1024 * 1024;

/** The most bytes queued in all sessions. The session that passes it is reset, before memory is out for everybody. */
export const ALL_QUEUED_BYTES_MAX = 256 * 1024 * 1024;

const NARROW_BYTES = 16 * 1024;

/**
 * Gives a chunk's memory back now. The collector would do so only after many of them: a bulk transfer would fill
 * tens of megabytes with what is long sent, and write each new chunk to memory that no cache knows. The bytes are
 * gone after this: nobody else may hold them.
 */
export function release({ buffer, length }: Uint8Array): void {
  if (length > 0 && buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

/** Lets the kernel keep only a little for a session that is not read from. Does nothing where libc is not to be had. */
export function narrowWindow(fd: number): void {
  limitWindow(fd, NARROW_BYTES);
}

/** Bounds what one read of a socket, or of each that is accepted from a listener, can give. */
export function limitWindow(fd: number, bytes: number): void {
  try {
    if (fd >= 0) setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes / 2); // socket(7): the kernel doubles it
  } catch {
    // Not Linux: reads stay as large as Bun makes them.
  }
}
