/* SPDX-License-Identifier: MIT */
/* A small HTTP server for tests, in a thread, on a port of its own: every request is given to a
 * function, which writes the whole answer. One connection at a time, one request each. */
#ifndef LATHE_TEST_SERVER_H
#define LATHE_TEST_SERVER_H

#include "base/buf.h"

/* request: "GET /path?query HTTP/1.1", headers and body, zero-terminated. */
typedef void server_answer(const char *request, struct buf *answer, void *arg);

struct server;
struct server *server_start(server_answer *answer, void *arg); /* NULL: no socket */
int server_port(const struct server *s);
void server_stop(struct server *s);

/* Appends a complete answer with a body of `type`. */
void server_reply(struct buf *answer, int status, const char *type, const char *headers,
                  const char *body, size_t n);

#endif
