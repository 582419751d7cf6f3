/* SPDX-License-Identifier: MIT */
#include "support/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
  int fd, port;
  atomic_bool stop;
  pthread_t thread;
  server_answer *answer;
  void *arg;
};

static size_t body_length(const char *request) {
  const char *at = strcasestr(request, "\r\ncontent-length:");
  return at ? (size_t)strtoul(at + 17, NULL, 10) : 0;
}

static void read_request(int fd, struct buf *in) {
  char block[4096];
  for (ssize_t n; in->len < 1 << 20 && (n = read(fd, block, sizeof block)) > 0;) {
    buf_add(in, block, (size_t)n);
    const char *end = strstr(in->data, "\r\n\r\n");
    if (end && in->len >= (size_t)(end + 4 - in->data) + body_length(in->data)) return;
  }
}

static void *serve(void *arg) {
  struct server *s = arg;
  while (!atomic_load(&s->stop)) {
    int fd = accept(s->fd, NULL, NULL);
    if (fd < 0) continue;
    struct buf in, out;
    buf_init(&in), buf_init(&out);
    read_request(fd, &in);
    if (in.len) s->answer(in.data, &out, s->arg);
    for (size_t at = 0; at < out.len;) {
      ssize_t n = send(fd, out.data + at, out.len - at, MSG_NOSIGNAL);
      if (n <= 0) break;
      at += (size_t)n;
    }
    buf_clear(&in), buf_clear(&out);
    close(fd);
  }
  return NULL;
}

struct server *server_start(server_answer *answer, void *arg) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  struct server *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->answer = answer;
  s->arg = arg;
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, n) || listen(s->fd, 16) ||
      getsockname(s->fd, (struct sockaddr *)&at, &n) ||
      pthread_create(&s->thread, NULL, serve, s)) {
    if (s->fd >= 0) close(s->fd);
    free(s);
    return NULL;
  }
  s->port = ntohs(at.sin_port);
  return s;
}

int server_port(const struct server *s) {
  return s->port;
}

void server_stop(struct server *s) {
  if (!s) return;
  atomic_store(&s->stop, true);
  shutdown(s->fd, SHUT_RDWR);
  pthread_join(s->thread, NULL);
  close(s->fd);
  free(s);
}

void server_reply(struct buf *answer, int status, const char *type, const char *headers,
                  const char *body, size_t n) {
  buf_addf(
      answer,
      "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
      status, type, n, headers ? headers : "");
  buf_add(answer, body, n);
}
