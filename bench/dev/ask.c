// What asking costs in C: one UDP socket, one datagram of 64 bytes under way, its round trip from before sendto(2) to the
// kernel's stamp of the echo (SO_TIMESTAMPNS), waited for by epoll_wait(2). `ask PORT`; reads "COUNT PAUSE_US" from stdin,
// prints the median round trip in ns, and so on.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int64_t nanos(const struct timespec *time) { return time->tv_sec * 1000000000LL + time->tv_nsec; }

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

// Receives one datagram; the kernel's stamp, or -1 where there is none.
static int64_t receive(int fd, char *buffer, size_t size) {
  char control[256];
  struct sockaddr_in from;
  struct iovec iovec = {buffer, size};
  struct msghdr message = {&from, sizeof from, &iovec, 1, control, sizeof control, 0};
  ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);
  if (length < 0 && errno == EAGAIN) return -1;
  if (length < 0) fail("recvmsg");
  for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SO_TIMESTAMPNS) continue;
    struct timespec stamp;
    memcpy(&stamp, CMSG_DATA(each), sizeof stamp);
    return nanos(&stamp);
  }
  fail("no stamp");
  return -1;
}

static int64_t ask(int fd, int epoll, const struct sockaddr_in *server, uint64_t number) {
  char message[SIZE] = {0}, buffer[65536];
  memcpy(message + 1, &number, sizeof number);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int64_t sent = nanos(&now);
  if (sendto(fd, message, SIZE, 0, (const struct sockaddr *)server, sizeof *server) != SIZE) fail("sendto");
  for (;;) {
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, 1000) != 1) fail("no echo");
    int64_t stamp = receive(fd, buffer, sizeof buffer);
    if (stamp < 0) continue;
    if (memcmp(buffer, message, SIZE) == 0) return stamp - sent;
  }
}

int main(int count, char **arguments) {
  if (count != 2) return 2;
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), one = 1, epoll = epoll_create1(0);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
  struct epoll_event event = {.events = EPOLLIN};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  int asks, pause;
  while (scanf("%d %d", &asks, &pause) == 2) {
    int64_t *times = calloc(asks, sizeof *times);
    for (int at = 0; at < asks; at++) {
      times[at] = ask(fd, epoll, &server, at);
      if (pause > 0) usleep(pause);
    }
    qsort(times, asks, sizeof *times, compare);
    printf("%lld\n", (long long)times[asks / 2]);
    fflush(stdout);
    free(times);
  }
}
