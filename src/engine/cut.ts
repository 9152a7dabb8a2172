/**
 * How a server that has drained ends the sessions that are left, on either engine. What has come by then is echoed
 * and what is owed is flushed while the peer takes it; then comes the FIN, and what the peer still says is thrown
 * away until it has all and sends its own. One that is still owed bytes at the end is reset: it must not take what it
 * has for the whole.
 */

/** A session that has all and the server's FIN may take this long to send its own. */
export const LINGER_MS = 1000;

/** Those that are owed bytes may take so long for them. */
export const FLUSH_MS = 3000;
