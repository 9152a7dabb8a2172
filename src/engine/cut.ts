/**
 * The cut: how a server that has drained ends the sessions that are left, on either engine. Bytes that have come by then
 * are echoed, and queued bytes are flushed while the peer takes them. Then the server sends its FIN, and throws away what
 * the peer still sends, until the peer has acknowledged all and sends its own FIN. A session that still has queued bytes
 * at the end is reset: its peer must not take a part for the whole.
 */

/** Time that a peer which has all bytes and the server's FIN may take to send its own FIN. */
export const LINGER_MS = 1000;

/** Time that a peer may take for its queued bytes. */
export const FLUSH_MS = 3000;
