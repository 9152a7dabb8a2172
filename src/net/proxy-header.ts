/** What a PROXY header begins with (HAProxy, doc/proxy-protocol.txt), and the shortest one there is. */

/** Version 1, section 2.1. */
export const V1_SIGNATURE = new TextEncoder().encode("PROXY ");

/** Version 2, section 2.2: `\r\n\r\n\0\r\nQUIT\n`, which no text protocol begins with. */
export const V2_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);

/** Version 2, command LOCAL, no family, no addresses: "this is the proxy itself" (section 2.2). */
export const LOCAL_HEADER = Uint8Array.of(...V2_SIGNATURE, 0x20, 0, 0, 0);
