/*
 * The least that answering a question over UDP can cost: the question comes back as an answer without records. The
 * floor for resolvers, and the server outside that they forward to. Arguments: address, port.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
  struct sockaddr_in here = {.sin_family = AF_INET}, peer;
  unsigned char message[4096];
  int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
  if (argc < 3 || fd < 0) return 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  inet_pton(AF_INET, argv[1], &here.sin_addr);
  here.sin_port = htons(atoi(argv[2]));
  if (bind(fd, (struct sockaddr *)&here, sizeof here) != 0) return 1;
  for (;;) {
    socklen_t size = sizeof peer;
    ssize_t length = recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&peer, &size);
    if (length < 12) continue;
    message[2] |= 0x80;
    message[3] = 0x80;
    sendto(fd, message, length, 0, (struct sockaddr *)&peer, size);
  }
}
