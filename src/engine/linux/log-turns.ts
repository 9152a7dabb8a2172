import type { SessionLog } from "../session-log.ts";

/** The handlers of `LinuxTcp` in which a session's bytes move. */
interface Handlers {
  readable: (fd: number) => void;
  notEchoing: (kind: number, fd: number) => void;
  headerTimeout: (fd: number) => void;
}

/** Makes each handler first tell the log which session has its turn. A wrapper costs nothing where nothing is logged. */
export function logTurns(tcp: Handlers, log: SessionLog): void {
  const { readable, notEchoing, headerTimeout } = tcp;
  tcp.readable = (fd) => {
    log.turn(fd);
    readable.call(tcp, fd);
  };
  tcp.notEchoing = (kind, fd) => {
    log.turn(fd);
    notEchoing.call(tcp, kind, fd);
  };
  tcp.headerTimeout = (fd) => {
    log.turn(fd);
    headerTimeout.call(tcp, fd);
  };
}
