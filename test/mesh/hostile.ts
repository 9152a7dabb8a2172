import type { Socket, TCPSocketListener } from "bun";

/** HTTP servers that do not do what they should, on a port of their own. */
export interface Hostile extends Disposable {
  readonly port: number;
  /** Connections so far, and those open now. */
  readonly counts: { opened: number; open: number };
}

/** What is done with a connection on which something was asked. */
type Behaviour = (socket: Socket<Talk>) => void;

interface Talk {
  timer: Timer | null;
  /** Goes on where the kernel took no more. */
  goOn: () => void;
}

export function hostile(behaviour: Behaviour, hostname = "127.0.0.1", port = 0): Hostile {
  const counts = { opened: 0, open: 0 };
  const listener: TCPSocketListener<Talk> = Bun.listen<Talk>({
    ...{ hostname, port },
    socket: {
      open(socket) {
        socket.data = { timer: null, goOn: () => {} };
        counts.opened++;
        counts.open++;
      },
      data: (socket) => behaviour(socket),
      drain: (socket) => socket.data.goOn(),
      close(socket) {
        counts.open--;
        if (socket.data.timer !== null) clearInterval(socket.data.timer);
      },
      error() {},
    },
  });
  return { port: listener.port, counts, [Symbol.dispose]: () => listener.stop(true) };
}

/** Answers with those bytes, and the end. */
export const answers =
  (text: string): Behaviour =>
  (socket) =>
    void socket.end(text);

/** A whole answer of that body. */
export const says = (body: string, status = "200 OK"): Behaviour =>
  answers(`HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);

/** Says nothing. */
export const silent: Behaviour = () => {};

/** Sends `head`, and then `piece` as fast as it is taken, without end. */
export function endless(head: string, piece: string): Behaviour {
  return (socket) => {
    socket.data.goOn = () => {
      while (socket.write(piece) === piece.length);
    };
    socket.write(head);
    socket.data.goOn();
  };
}

/** Sends `head`, and then a byte at a time, without end. */
export function dripping(head: string): Behaviour {
  return (socket) => {
    socket.write(head);
    socket.data.timer = setInterval(() => void socket.write("x"), 1);
  };
}
