import {
  AF_INET,
  IPPROTO_UDP,
  loadLibc,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "../../sys/libc.ts";
import { setOption } from "../../sys/socket.ts";

/**
 * Has the kernel stamp what comes for as long as it is open. Linux stamps only while some socket of the machine asks for
 * it, and begins and stops a little after that: sessions one after another would have their first bytes unstamped.
 */
export class Stamping {
  readonly #fd: number;

  constructor() {
    this.#fd = loadLibc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    if (this.#fd >= 0) setOption(this.#fd, SOL_SOCKET, SO_TIMESTAMPNS, 1); // if not, times are those of reading
  }

  close(): void {
    if (this.#fd >= 0) loadLibc().close(this.#fd);
  }
}
