/* SPDX-License-Identifier: MIT */
/* HTTP: many requests at once over libcurl's multi interface, with every answer bounded.
 *
 *   net_submit(n, &request, &id, err)        any number, from one thread
 *   while (net_wait(n, 1000, &answer, err) == 1) … answer.id, .status, .body …; net_answer_clear
 *
 * At most `connections` are open at a time, and are used again; the rest wait in order. Plain files,
 * FTP and the like are not spoken. Certificates are checked.
 *
 * What a server may not do: send more than body_max (after unpacking), trickle or stall (idle and
 * total seconds), redirect for ever, to another scheme than http and https or down from https, take
 * headers of ours to another origin by a redirect, or lead a public name to a private address. That
 * last check does not apply behind a proxy (http_proxy and its like): the proxy resolves names.
 *
 * What a caller may not do: line ends or zero bytes in URL, method or headers; names and passwords
 * in the URL. Messages name a URL without its query, which may hold a key.
 */
#ifndef LATHE_NET_NET_H
#define LATHE_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define NET_BODY_DEFAULT ((uint64_t)64 << 20)

struct net_header {
  const char *name, *value;
};

/* All strings are copied by net_submit. */
struct net_request {
  const char *method; /* NULL: GET, or POST where there is a body */
  const char *url;
  const struct net_header *headers;
  size_t header_count;
  const char *body; /* NULL: none */
  size_t body_len;
  uint64_t body_max;        /* bytes of the answer; 0: NET_BODY_DEFAULT */
  uint32_t connect_seconds; /* 0: 20 */
  uint32_t idle_seconds;    /* without a byte; 0: 60 */
  uint32_t total_seconds;   /* 0: 600 */
  uint32_t redirects;       /* at most */
  bool allow_private; /* else only where the URL itself names a private address or localhost */
};

/* Of a request that was answered: status and what follows. Of one that was not: status 0 and why in
 * problem, ERR_TRANSIENT where another attempt may help. */
struct net_answer {
  uint64_t id;
  int status;
  struct buf body;
  struct buf headers; /* "name: value\n" each, names in lower case, of the last answer */
  struct buf url;     /* where the answer came from, behind redirects */
  struct err problem;
};
void net_answer_clear(struct net_answer *a); /* may be called twice */

struct net;
/* ERR_UNSUPPORTED in a build without libcurl. */
int net_new(struct net **out, unsigned connections, struct err *err);
void net_free(struct net *n); /* drops what is under way */
/* ERR_MISUSE for a request that is not to be sent. */
int net_submit(struct net *n, const struct net_request *request, uint64_t *id, struct err *err);
size_t net_pending(const struct net *n); /* submitted and not yet given back */
/* 1 and *answer (the caller clears it); 0 when none came within that time, or none is pending; −1:
 * ERR_CANCELLED, ERR_NOMEM, ERR_IO. */
int net_wait(struct net *n, int milliseconds, struct net_answer *answer, struct err *err);

#endif
