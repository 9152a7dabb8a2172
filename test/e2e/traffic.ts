import { packetsDroppedHere, udpErrorsHere } from "./here.ts";
import { inClient } from "./kubectl.ts";
import { DatagramStream, type Ending, HeldSession, type Target, TcpNewcomers } from "./net.ts";
import { eventually } from "./shell.ts";
import { udpFiguresAt } from "./udp-figures.ts";
import { UdpNewcomers } from "./udp-newcomers.ts";

/** Newcomers through the Service inside the cluster, four at a time, for 40 seconds; a line of three counts each. */
const INSIDE = `
end=$(($(date +%s) + 40))
newcomers() {
  n=0; tcp=0; udp=0
  while [ $(date +%s) -lt $end ]; do
    n=$((n + 1))
    case $(printf "new $n" | nc -w1 echo-server 1234) in *"new $n") ;; *) tcp=$((tcp + 1)) ;; esac
    case $(printf "new $n" | nc -u -w1 echo-server 5678) in *"new $n") ;; *) udp=$((udp + 1)) ;; esac
  done
  echo $n $tcp $udp
}
for each in 1 2 3 4; do newcomers & done
wait`;

/** What became of all of it. */
export interface TrafficReport {
  readonly newTcp: number;
  readonly newUdp: number;
  readonly newUdpAstray: number;
  /** New UDP sessions whose banner came after the echo, and those whose banner did not come: a line each. */
  readonly newUdpOvertaken: readonly string[];
  readonly newUdpUnannounced: readonly string[];
  /** Of each protocol, through the Service. */
  readonly inside: number;
  readonly tcpFailures: readonly string[];
  readonly udpFailures: readonly string[];
  readonly endings: Readonly<Partial<Record<Ending, number>>>;
  /** What a held session got that it should not have. */
  readonly wrong: readonly string[];
  readonly datagramsSent: number;
  /** Sent on a stream and never echoed. */
  readonly datagramsLost: number;
  /** Echoed from another address than was asked: in a Pod when its flow was moved. */
  readonly datagramsAstray: number;
  /** Packets that this machine threw away meanwhile, for whatever reason of its own. */
  readonly droppedHere: number;
}

/**
 * All that a fleet may be busy with: sessions held open, datagram streams, and newcomers by TCP and UDP, through every
 * node's port and through the Service inside. It runs for 40 seconds at least.
 */
export class Traffic implements AsyncDisposable {
  readonly #held: readonly HeldSession[];
  readonly #streams: readonly DatagramStream[];
  readonly #newTcp: TcpNewcomers;
  readonly #newUdp: UdpNewcomers;
  readonly #inside = inClient(INSIDE);
  readonly #droppedBefore: number;

  private constructor(
    tcp: readonly Target[],
    udp: readonly Target[],
    held: readonly HeldSession[],
    streams: readonly DatagramStream[],
    droppedBefore: number,
  ) {
    this.#held = held;
    this.#streams = streams;
    this.#droppedBefore = droppedBefore;
    this.#newTcp = new TcpNewcomers(tcp, 20);
    const errorsBefore = udpErrorsHere();
    const explain = async (server: string): Promise<string> =>
      `${await udpFiguresAt(server)}; here: ${await udpErrorsHere()}, when it began: ${await errorsBefore}`;
    this.#newUdp = new UdpNewcomers(udp, explain, 20);
    this.#inside.catch(() => {}); // awaited later, and thrown there
  }

  /** Begins, with `sessions` held sessions over all the hosts, and waits until each is served. */
  static async start(hosts: readonly string[], sessions: number): Promise<Traffic> {
    const droppedBefore = await packetsDroppedHere();
    const tcp = hosts.map((host) => ({ host, port: 31234 }));
    const udp = hosts.map((host) => ({ host, port: 31678 }));
    const held = await Promise.all(
      Array.from({ length: sessions }, (_, at) => HeldSession.open(tcp[at % tcp.length]!, 200)),
    );
    const streams = await Promise.all(udp.map((endpoint) => DatagramStream.start(endpoint, 20)));
    const traffic = new Traffic(tcp, udp, held, streams, droppedBefore);
    await eventually("an echo in each session and stream", 10, async () =>
      held.every(({ echoed }) => echoed > 0) && streams.every(({ alive }) => alive) ? true : null,
    );
    return traffic;
  }

  /** Waits until every held session has ended and every stream is served again, then stops the rest. */
  async finish(): Promise<TrafficReport> {
    const held = this.#held;
    const streams = this.#streams;
    await eventually("the end of every held session", 20, async () =>
      held.every(({ ending }) => ending !== "open") ? true : null,
    );
    await eventually("every stream's echo", 10, async () =>
      streams.every(({ alive }) => alive) ? true : null,
    );
    await Promise.all([this.#newTcp.stop(), this.#newUdp.stop()]);
    const rows = (await this.#inside).trim().split("\n");
    await Promise.all(streams.map((stream) => stream.stop(5)));
    const inside = (column: number): number =>
      rows.reduce((sum, row) => sum + Number(row.split(" ")[column]), 0);
    const told = (column: number): string[] => new Array<string>(inside(column)).fill("inside the cluster");
    const endings: Partial<Record<Ending, number>> = {};
    for (const { ending } of held) endings[ending] = (endings[ending] ?? 0) + 1;
    return {
      newTcp: this.#newTcp.opened,
      newUdp: this.#newUdp.opened,
      newUdpAstray: this.#newUdp.astray,
      newUdpOvertaken: this.#newUdp.overtaken,
      newUdpUnannounced: this.#newUdp.unannounced,
      inside: inside(0),
      tcpFailures: [...this.#newTcp.failures, ...told(1)],
      udpFailures: [...this.#newUdp.failures, ...told(2)],
      endings,
      wrong: held.flatMap(({ wrong }) => wrong ?? []),
      datagramsSent: streams.reduce((sum, { sent }) => sum + sent, 0),
      datagramsLost: streams.reduce((sum, { lost }) => sum + lost, 0),
      datagramsAstray: streams.reduce((sum, { astray }) => sum + astray, 0),
      droppedHere: (await packetsDroppedHere()) - this.#droppedBefore,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#newTcp.stop(), this.#newUdp.stop()]);
    for (const each of [...this.#held, ...this.#streams, this.#newUdp]) each.close();
  }
}
