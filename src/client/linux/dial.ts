import type { Endpoint } from "../../net/endpoint.ts";
import { EPOLLOUT, loadLibc, SO_TIMESTAMPNS, SOL_SOCKET } from "../../sys/libc.ts";
import { setOption } from "../../sys/socket.ts";
import type { ConnectionEvents, Dial, Source } from "../dial.ts";
import { Failure } from "../failure.ts";
import { connectSocket, openTcpSocket } from "./connect.ts";
import { heedIcmp, LinuxConnection } from "./connection.ts";
import { noRoomToWait, reactor } from "./reactor.ts";

/**
 * Connects by system calls; the reactor of this thread tells what becomes of it. It says who sent an ICMP that a connect
 * failed for, how long the handshake took by the kernel's own clock, and when bytes came by its stamps.
 */
export const dialByCalls: Dial = (target, source, events) => {
  const connection = begin(target, source, events);
  if (!(connection instanceof Failure)) return () => connection.giveUp();
  let given = true;
  queueMicrotask(() => {
    if (given) events.failed(connection);
  });
  return () => {
    given = false;
  };
};

/** A connection that is under way, or why there can be none. */
function begin(target: Endpoint, source: Source, events: ConnectionEvents): LinuxConnection | Failure {
  const loop = reactor();
  if (loop instanceof Failure) return loop;
  const fd = openTcpSocket(target, source);
  if (fd instanceof Failure) return fd;
  setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  heedIcmp(fd, target, 1);
  const connection = new LinuxConnection(fd, target, loop, events);
  const failure = connectSocket(fd, target) ?? (loop.add(fd, EPOLLOUT, connection) ? null : noRoomToWait());
  if (failure === null) return connection;
  loadLibc().close(fd);
  return failure;
}
