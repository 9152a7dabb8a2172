/** What rules go by: the part of a loop's settings that they read, and nothing else. */
export interface RuleSettings {
  readonly banner: boolean;
  /** Extra banner lines, ready to send: `"Pod: server1\nNode: n1\n"`, or empty. */
  readonly bannerFields: string;
  readonly maxTcpSessions: number;
  /** 0: unlimited. */
  readonly maxTcpSessionsPerClient: number;
  readonly maxUdpSessions: number;
  /** 0: off. */
  readonly tcpIdleTimeoutMs: number;
  /** 0: off. */
  readonly udpIdleTimeoutMs: number;
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
}
