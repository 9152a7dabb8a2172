import type { BannerSuppression, TcpRefusal, UdpDrop, UdpRefusal } from "../state/counters.ts";

/** One sentence for each reason: what it means, and what to do about it. */

export const TCP_REFUSAL_MEANINGS: Readonly<Record<TcpRefusal, string>> = {
  max_sessions: "As many sessions were open as --max-tcp-sessions allows, so the newcomer was reset.",
  max_sessions_per_client:
    "One client address had as many sessions as --max-tcp-sessions-per-client allows; behind a NAT many clients are one.",
  client_table: "The table of client addresses had no room for one more, so the newcomer was reset.",
  proxy_missing:
    "A connection began without the PROXY header that --proxy-protocol require asks for: it did not come through the proxy.",
  proxy_malformed:
    "A PROXY header was not as the protocol has it: the proxy speaks another version, or is none.",
  proxy_untrusted:
    "A connection came from an address that --proxy-trusted does not name, past the proxy or by one not listed.",
  proxy_timeout:
    "A PROXY header did not come, or not to its end, within --proxy-timeout: the way is slow, or nobody sends one.",
  draining: "The server is shutting down and takes no newcomers; another server takes them.",
  no_descriptors:
    "The process had no file descriptor left for it: raise the open-file limit or lower --max-tcp-sessions.",
  gone: "The client had reset the connection before it was accepted, as port scanners and some health checks do.",
  no_epoll_watch: "The kernel would watch no more sockets: memory or fs.epoll.max_user_watches is used up.",
};

export const UDP_REFUSAL_MEANINGS: Readonly<Record<UdpRefusal, string>> = {
  draining: "The server is shutting down and begins no new sessions; another server takes them.",
};

export const UDP_DROP_MEANINGS: Readonly<Record<UdpDrop, string>> = {
  source_port_zero:
    "Its source port was 0, which nobody can be answered at: it was forged or broken on the way.",
  own_port:
    "It came from the server's own port number, as another echo server's would: answered, it could go round for ever.",
  blocked_source_port:
    "It came from a port of --udp-blocked-source-ports, whose services answer anything: answered, it could go round for ever.",
  broadcast: "It was sent to a broadcast or multicast address, so many could have answered at once.",
  reflected:
    "The other end sends back what it gets, this server's banner too, so it is muted for the idle time; another source port is answered.",
  client_rate: "One client address sent more than --udp-rate-per-client allows.",
  draining: "It would have begun a session while the server is shutting down.",
  send_failed:
    "The kernel would not send its echo: there is no route back to the sender, or a firewall here forbids it.",
  queue_full: "Its echo found no room on the way out: more comes in than can be sent.",
};

export const BANNER_MEANINGS: Readonly<Record<BannerSuppression, string>> = {
  rate: "More new sessions a second than --udp-banner-rate has banners for; the echo was sent all the same.",
  prefix_rate:
    "More new sessions a second from one network than --udp-banner-rate-per-prefix has banners for; the echo was sent all the same.",
  amplification:
    "The banner would have been more than --udp-amplification-max times the datagram; the echo was sent all the same.",
};

/** What `echo_sessionless_datagrams_total` counts. */
export const SESSIONLESS_MEANING =
  "As many UDP sessions were open as --max-udp-sessions allows: a newcomer's datagrams were echoed all the same, without a session and a banner.";
