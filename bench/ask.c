/*
 * Asks one question after the other over UDP and prints the mean time to an answer in microseconds. The client is C
 * because dnsperf with a single question under way waits on its own between them. Arguments: address, port, name, how
 * many. Ends with status 1 if an answer does not come within five seconds.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static int question(unsigned char *out, const char *name) {
  int offset = 12;
  memset(out, 0, 12);
  out[2] = 1;
  out[5] = 1;
  while (*name) {
    int length = strcspn(name, ".");
    out[offset++] = length;
    memcpy(out + offset, name, length);
    offset += length;
    name += length + (name[length] == '.');
  }
  memcpy(out + offset, "\0\0\1\0\1", 5);
  return offset + 5;
}

int main(int argc, char **argv) {
  struct sockaddr_in server = {.sin_family = AF_INET};
  struct timeval patience = {5, 0};
  struct timespec from, to;
  unsigned char out[512], in[4096];
  int fd = socket(AF_INET, SOCK_DGRAM, 0), count;
  if (argc < 5 || fd < 0) return 1;
  inet_pton(AF_INET, argv[1], &server.sin_addr);
  server.sin_port = htons(atoi(argv[2]));
  count = atoi(argv[4]);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0) return 1;
  int length = question(out, argv[3]);
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int asked = 0; asked < count; asked++) {
    out[0] = asked >> 8;
    out[1] = asked;
    if (send(fd, out, length, 0) != length || recv(fd, in, sizeof in, 0) < 12) return 1;
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%.3f\n", ((to.tv_sec - from.tv_sec) * 1e6 + (to.tv_nsec - from.tv_nsec) / 1e3) / count);
}
