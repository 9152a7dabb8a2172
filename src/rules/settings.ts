/**
 * What a loop needs to know, and nothing else: plain data that can be cloned into a Worker.
 * The control plane makes it from the options (`config.ts`); rules and engines read it.
 */
export interface LoopSettings {
  /** Addresses to listen on: IP literals; `::` is dual stack. Never empty. */
  readonly hosts: readonly string[];
  /** TCP port, 0 for any free one, null for no TCP. */
  readonly tcpPort: number | null;
  /** UDP port, 0 for any free one, null for no UDP. */
  readonly udpPort: number | null;
  readonly banner: boolean;
  /** Extra banner lines, ready to send: `"Pod: server1\nNode: n1\n"`, or empty. */
  readonly bannerFields: string;
  readonly maxTcpSessions: number;
  /** 0: unlimited. */
  readonly maxTcpSessionsPerClient: number;
  readonly maxUdpSessions: number;
  /** Descriptors for so many are kept from sessions, as far as the open-file limit has room. */
  readonly maxAdminConnections: number;
  /** 0: off. */
  readonly tcpIdleTimeoutMs: number;
  /** Idle time until the kernel asks whether the peer is still there; 0: it does not. */
  readonly tcpKeepAliveMs: number;
  /** 0: off. */
  readonly udpIdleTimeoutMs: number;
  /** Bytes kept for one reader that is slower than its own sending; above it the session is reset. */
  readonly maxQueuedBytes: number;
  readonly proxyProtocol: "off" | "accept" | "require";
  /** CIDR blocks whose PROXY headers are believed; empty: any. */
  readonly proxyTrusted: readonly string[];
  readonly proxyTimeoutMs: number;
  /** Source ports whose datagrams are dropped (loop guard); 0 and the server's own port always are. */
  readonly udpBlockedSourcePorts: readonly number[];
  /** UDP banners a second for the whole server; 0: no UDP banner, Infinity: no limit. */
  readonly udpBannerRate: number;
  /** UDP banners a second for one source prefix (IPv4 /24, IPv6 /64); 0: no UDP banner, Infinity: no limit. */
  readonly udpBannerRatePerPrefix: number;
  /** Datagrams a second of one client address; 0: no limit. */
  readonly udpRatePerClient: number;
  /** Most bytes sent for a byte received, IP and UDP headers included; above it a session gets no banner. */
  readonly udpAmplificationMax: number;
  /** How long a Linux loop looks for work before it sleeps; 0: not at all. */
  readonly busyPollMicros: number;
  /** Tell each TCP session's beginning and end to the log (debug level only: it costs two messages per session). */
  readonly logSessions: boolean;
}
