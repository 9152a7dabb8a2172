// The floor: one thread, epoll; recv then send for TCP, recvmmsg then sendmmsg for UDP. What the kernel does not
// take at once is kept and waits for EPOLLOUT, and nothing more is read meanwhile. `echo tcp PORT`, `echo udp PORT`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, BATCH = 64, DATAGRAM = 65536, BUFFER = 512 * 1024 };

struct owed {
  char *bytes;
  size_t length, sent;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int bound(int type, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
  int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  return fd;
}

static void watch(int epoll, int operation, int fd, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  epoll_ctl(epoll, operation, fd, &event);
}

static void flush(int epoll, int fd, struct owed *owed) {
  ssize_t sent = send(fd, owed->bytes + owed->sent, owed->length - owed->sent, MSG_NOSIGNAL);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent > 0 && (owed->sent += sent) < owed->length) return;
  free(owed->bytes);
  owed->bytes = NULL;
  if (sent < 0) close(fd);
  else watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void echo(int epoll, int fd, struct owed *owed) {
  static char buffer[BUFFER];
  ssize_t length = recv(fd, buffer, sizeof buffer, 0);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) {
    close(fd);
    return;
  }
  ssize_t sent = send(fd, buffer, length, MSG_NOSIGNAL);
  if (sent == length) return;
  if (sent < 0 && errno != EAGAIN) {
    close(fd);
    return;
  }
  if (sent < 0) sent = 0;
  *owed = (struct owed){malloc(length - sent), length - sent, 0};
  memcpy(owed->bytes, buffer + sent, owed->length);
  watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void serve_tcp(int port) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  struct owed *owed = calloc(files.rlim_max > 1 << 20 ? 1 << 20 : files.rlim_max, sizeof *owed);
  int epoll = epoll_create1(0), listener = bound(SOCK_STREAM, port), one = 1;
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (listen(listener, 4096) < 0) fail("listen");
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
  static struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int at = 0; at < count; at++) {
      int fd = events[at].data.fd;
      if (fd == listener) {
        for (int accepted; (accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
          watch(epoll, EPOLL_CTL_ADD, accepted, EPOLLIN);
        }
      } else if (owed[fd].bytes) {
        flush(epoll, fd, &owed[fd]);
      } else {
        echo(epoll, fd, &owed[fd]);
      }
    }
  }
}

static void serve_udp(int port) {
  static struct mmsghdr messages[BATCH];
  static struct iovec iovecs[BATCH];
  static struct sockaddr_in peers[BATCH];
  char *buffer = malloc((size_t)BATCH * DATAGRAM);
  int epoll = epoll_create1(0), fd = bound(SOCK_DGRAM, port), size = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
  for (int at = 0; at < BATCH; at++) {
    iovecs[at].iov_base = buffer + (size_t)at * DATAGRAM;
    messages[at].msg_hdr = (struct msghdr){.msg_name = &peers[at], .msg_iov = &iovecs[at], .msg_iovlen = 1};
  }
  for (struct epoll_event event;;) {
    epoll_wait(epoll, &event, 1, -1);
    int count;
    do {
      for (int at = 0; at < BATCH; at++) {
        iovecs[at].iov_len = DATAGRAM;
        messages[at].msg_hdr.msg_namelen = sizeof peers[at];
      }
      count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
      for (int at = 0; at < count; at++) iovecs[at].iov_len = messages[at].msg_len;
      if (count > 0) sendmmsg(fd, messages, count, 0);
    } while (count == BATCH);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (strcmp(argv[1], "tcp") == 0) serve_tcp(atoi(argv[2]));
  serve_udp(atoi(argv[2]));
}
