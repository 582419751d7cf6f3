/* SPDX-License-Identifier: MIT */
/* One easy handle a request, in a list that the client owns; what has ended moves to the back of a
 * second list until net_wait hands it out.
 *
 * Redirects are followed here and not by libcurl, because it would carry our own headers (a key in
 * x-api-key, say) to wherever a server points. Every hop is a fresh easy handle of the same request.
 *
 * libcurl's one global initialisation is behind pthread_once.
 */
#include "net/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "net/address.h"

void net_answer_clear(struct net_answer *a) {
  buf_clear(&a->body);
  buf_clear(&a->headers);
  buf_clear(&a->url);
}

#ifdef HAVE_CURL

#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_SECONDS 20
#define IDLE_SECONDS    60
#define TOTAL_SECONDS   600
#define HEADERS_MAX     ((size_t)256 << 10)
#define URL_MAX         ((size_t)16 << 10)

struct transfer {
  struct transfer *next;
  CURL *easy;
  struct curl_slist *list;
  char *method, *body; /* NULL: as libcurl chooses; none */
  size_t body_len;
  char *url; /* of this hop */
  struct net_request limits;
  uint32_t hops;
  bool own_headers, private_ok, refused, too_long, ended;
  char reason[CURL_ERROR_SIZE];
  struct net_answer answer;
};

struct net {
  CURLM *multi;
  struct transfer *busy, *done, **done_end;
  size_t pending;
  uint64_t last_id;
};

static void begin_once(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

int net_new(struct net **out, unsigned connections, struct err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, begin_once);
  struct net *n = mem_zero(sizeof *n);
  if (!n) return err_nomem(err, sizeof *n, "an HTTP client");
  n->done_end = &n->done;
  n->multi = curl_multi_init();
  if (!n->multi) {
    mem_free(n);
    return err_nomem(err, 4096, "an HTTP client");
  }
  curl_multi_setopt(n->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections);
  *out = n;
  return 0;
}

static void transfer_free(struct net *n, struct transfer *t) {
  if (!t) return;
  if (t->easy) {
    curl_multi_remove_handle(n->multi, t->easy);
    curl_easy_cleanup(t->easy);
  }
  curl_slist_free_all(t->list);
  mem_free(t->method);
  mem_free(t->body);
  mem_free(t->url);
  net_answer_clear(&t->answer);
  mem_free(t);
}

void net_free(struct net *n) {
  if (!n) return;
  for (struct transfer *t = n->busy, *next; t; t = next) next = t->next, transfer_free(n, t);
  for (struct transfer *t = n->done, *next; t; t = next) next = t->next, transfer_free(n, t);
  curl_multi_cleanup(n->multi);
  mem_free(n);
}

size_t net_pending(const struct net *n) {
  return n->pending;
}

/* ---- what is asked ---- */

static bool plain(const char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7F) return false;
  return true;
}

static bool is_token(const char *s) {
  static const char others[] = "!#$%&'*+-.^_`|~";
  if (!*s) return false;
  for (; *s; s++) {
    bool word = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z');
    if (!word && !strchr(others, *s)) return false;
  }
  return true;
}

/* "https://host/path" of a URL: its query may hold what is not to be shown. */
static int shown(const char *url) {
  size_t n = strcspn(url, "?#");
  return n < 400 ? (int)n : 400;
}

static int check_request(const struct net_request *r, struct err *err) {
  if (!r->url || strlen(r->url) > URL_MAX || !plain(r->url) || strchr(r->url, ' '))
    return err_set(err, ERR_MISUSE, "the URL has control characters or blanks, or is too long");
  if (strncasecmp(r->url, "http://", 7) != 0 && strncasecmp(r->url, "https://", 8) != 0)
    return err_set(err, ERR_MISUSE, "%.*s: not an http:// or https:// URL", shown(r->url), r->url);
  const char *host = strstr(r->url, "://") + 3, *at = strchr(host, '@');
  if (at && (size_t)(at - host) < strcspn(host, "/?#"))
    return err_set(err, ERR_MISUSE,
                   "a name or password in the URL would be logged: send a header instead");
  if (r->method && !is_token(r->method)) return err_set(err, ERR_MISUSE, "not an HTTP method");
  for (size_t i = 0; i < r->header_count; i++)
    if (!is_token(r->headers[i].name) || !plain(r->headers[i].value))
      return err_set(err, ERR_MISUSE, "header %zu: a name of letters and '-', a value on one line",
                     i + 1);
  return 0;
}

static char *copy(const char *s, size_t n) {
  char *c = mem_alloc(n + 1);
  if (c) memcpy(c, s, n), c[n] = 0;
  return c;
}

static bool add_header(struct transfer *t, const char *name, const char *value) {
  struct buf line;
  buf_init(&line);
  buf_adds(&line, name);
  buf_adds(&line, *value ? ": " : ";"); /* libcurl's way to send a header without a value */
  buf_adds(&line, value);
  buf_addc(&line, 0);
  struct curl_slist *more = line.failed ? NULL : curl_slist_append(t->list, line.data);
  buf_clear(&line);
  if (more) t->list = more;
  return more != NULL;
}

/* ---- what comes back ---- */

static size_t take_body(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  n *= one;
  if (t->answer.body.len + n > t->limits.body_max) {
    t->too_long = true;
    return 0;
  }
  buf_add(&t->answer.body, bytes, n);
  return t->answer.body.failed ? 0 : n;
}

static size_t take_header(char *bytes, size_t one, size_t n, void *arg) {
  struct transfer *t = arg;
  struct buf *to = &t->answer.headers;
  n *= one;
  size_t len = n;
  while (len && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n')) len--;
  if (len > 5 && !memcmp(bytes, "HTTP/", 5)) {
    buf_reset(to); /* of an interim answer, such as 100 */
    return n;
  }
  const char *colon = memchr(bytes, ':', len);
  if (!colon) return n;
  if (to->len + len > HEADERS_MAX) return 0;
  size_t name = (size_t)(colon - bytes), from = name + 1;
  while (from < len && (bytes[from] == ' ' || bytes[from] == '\t')) from++;
  for (size_t i = 0; i < name; i++)
    buf_addc(to, bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] | 32) : bytes[i]);
  buf_adds(to, ": ");
  for (size_t i = from; i < len; i++)
    buf_addc(to, (unsigned char)bytes[i] < 0x20 && bytes[i] != '\t' ? ' ' : bytes[i]);
  buf_addc(to, '\n');
  return to->failed ? 0 : n;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
  struct transfer *t = arg;
  if (purpose == CURLSOCKTYPE_IPCXN && !t->private_ok && net_address_private(&a->addr)) {
    t->refused = true;
    return CURL_SOCKET_BAD;
  }
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* ---- starting a hop ---- */

static bool behind_proxy(void) {
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                      "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *v = getenv(names[i]);
    if (v && *v) return true;
  }
  return false;
}

static int start(struct net *n, struct transfer *t, struct err *err) {
  const struct net_request *r = &t->limits;
  CURL *c = t->easy = curl_easy_init();
  if (!c) return err_nomem(err, 4096, "a request");
  buf_reset(&t->answer.body);
  buf_reset(&t->answer.headers);
  t->reason[0] = 0;
  curl_easy_setopt(c, CURLOPT_URL, t->url);
  curl_easy_setopt(c, CURLOPT_PRIVATE, t);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->reason);
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(c, CURLOPT_USERAGENT, "lathe/" LATHE_VERSION);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->list);
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)r->connect_seconds);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)r->idle_seconds);
  curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)r->total_seconds);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
  curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
  curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
  if (t->body) {
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, t->body);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_len);
  }
  if (t->method && !strcmp(t->method, "HEAD"))
    curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
  else if (t->method)
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, t->method);
  CURLMcode rc = curl_multi_add_handle(n->multi, c);
  return rc ? err_set(err, ERR_IO, "HTTP: %s", curl_multi_strerror(rc)) : 0;
}

static uint32_t or_else(uint32_t given, uint32_t fallback) {
  return given ? given : fallback;
}

int net_submit(struct net *n, const struct net_request *r, uint64_t *id, struct err *err) {
  int rc = check_request(r, err);
  struct transfer *t = rc ? NULL : mem_zero(sizeof *t);
  if (rc) return rc;
  if (!t) return err_nomem(err, sizeof *t, "a request");
  t->limits = *r;
  t->limits.body_max = r->body_max ? r->body_max : NET_BODY_DEFAULT;
  t->limits.connect_seconds = or_else(r->connect_seconds, CONNECT_SECONDS);
  t->limits.idle_seconds = or_else(r->idle_seconds, IDLE_SECONDS);
  t->limits.total_seconds = or_else(r->total_seconds, TOTAL_SECONDS);
  t->own_headers = r->header_count > 0;
  t->private_ok = r->allow_private || behind_proxy() || net_url_private(r->url);
  buf_init(&t->answer.body), buf_init(&t->answer.headers), buf_init(&t->answer.url);
  t->url = copy(r->url, strlen(r->url));
  t->method = r->method ? copy(r->method, strlen(r->method)) : NULL;
  t->body = r->body ? copy(r->body, r->body_len) : NULL;
  t->body_len = r->body_len;
  bool fine = t->url && (t->method || !r->method) && (t->body || !r->body);
  for (size_t i = 0; fine && i < r->header_count; i++)
    fine = add_header(t, r->headers[i].name, r->headers[i].value);
  t->limits.headers = NULL; /* the caller's */
  rc = fine ? start(n, t, err) : err_nomem(err, r->body_len, "a request");
  if (rc) {
    transfer_free(n, t);
    return rc;
  }
  t->next = n->busy;
  n->busy = t;
  n->pending++;
  *id = t->answer.id = ++n->last_id;
  return 0;
}

/* ---- the end of a hop ---- */

static int code_of(const struct transfer *t, CURLcode why) {
  if (t->too_long) return ERR_LIMIT;
  if (t->refused) return ERR_MISUSE;
  switch (why) {
  case CURLE_OUT_OF_MEMORY:
    return ERR_NOMEM;
  case CURLE_URL_MALFORMAT:
    return ERR_MISUSE;
  case CURLE_UNSUPPORTED_PROTOCOL: /* the URL was looked at: it is the answer that is no HTTP */
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
    return ERR_FORMAT;
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
    return ERR_MISMATCH;
  case CURLE_WRITE_ERROR:
    return t->answer.body.failed || t->answer.headers.failed ? ERR_NOMEM : ERR_LIMIT;
  default:
    return ERR_TRANSIENT; /* names, connections, timeouts, broken transfers */
  }
}

static void failed(struct transfer *t, CURLcode why) {
  const char *reason = *t->reason ? t->reason : curl_easy_strerror(why);
  struct err *e = &t->answer.problem;
  t->answer.status = 0;
  if (t->too_long)
    err_set(e, ERR_LIMIT, "%.*s: the answer is longer than %llu bytes", shown(t->url), t->url,
            (unsigned long long)t->limits.body_max);
  else if (t->refused)
    err_set(e, ERR_MISUSE, "%.*s: the name leads to a private address", shown(t->url), t->url);
  else
    err_set(e, code_of(t, why), "%.*s: %s", shown(t->url), t->url, reason);
}

static bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Why a redirect is not followed, or NULL. */
static const char *objection(const struct transfer *t, const char *to) {
  if (t->hops >= t->limits.redirects) return "too many redirects";
  if (strncasecmp(to, "http://", 7) != 0 && strncasecmp(to, "https://", 8) != 0)
    return "redirected to something that is not HTTP";
  if (!strncasecmp(t->url, "https://", 8) && strncasecmp(to, "https://", 8) != 0)
    return "redirected from https to http";
  if (strlen(to) > URL_MAX || !plain(to)) return "redirected to a damaged URL";
  if (t->own_headers && !net_same_origin(t->url, to))
    return "redirected to another server, which is not to see the request's headers";
  return NULL;
}

/* The next hop; false: the request has ended, with its problem. */
static bool follow(struct net *n, struct transfer *t, long status, const char *to) {
  const char *why = objection(t, to);
  char *url = why ? NULL : copy(to, strlen(to));
  if (!url) {
    err_set(&t->answer.problem, why ? ERR_FORMAT : ERR_NOMEM, "%.*s: %s", shown(t->url), t->url,
            why ? why : "out of memory");
    return false;
  }
  if (!t->limits.allow_private && !behind_proxy() && !net_same_origin(t->url, url))
    t->private_ok = false;
  curl_multi_remove_handle(n->multi, t->easy);
  curl_easy_cleanup(t->easy);
  t->easy = NULL;
  mem_free(t->url);
  t->url = url;
  t->hops++;
  bool get = status == 303 || ((status == 301 || status == 302) && t->body);
  if (get && !(t->method && !strcmp(t->method, "HEAD"))) {
    mem_free(t->body), mem_free(t->method);
    t->body = t->method = NULL;
  }
  return start(n, t, &t->answer.problem) == 0;
}

static void finish(struct net *n, struct transfer *t, CURLcode why) {
  char *to = NULL;
  long status = 0;
  curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
  if (why) {
    failed(t, why);
  } else if (is_redirect(status) && to) {
    if (follow(n, t, status, to)) return;
    t->answer.status = 0;
  } else {
    t->answer.status = (int)status;
    buf_adds(&t->answer.url, t->url);
  }
  t->ended = true;
}

/* Moves what has ended to the list that is handed out. */
static void collect(struct net *n) {
  int left;
  for (CURLMsg *m; (m = curl_multi_info_read(n->multi, &left));) {
    struct transfer *t = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
    finish(n, t, m->data.result);
  }
  for (struct transfer **at = &n->busy, *t; (t = *at);) {
    if (!t->ended) {
      at = &t->next;
      continue;
    }
    *at = t->next;
    t->next = NULL;
    *n->done_end = t;
    n->done_end = &t->next;
  }
}

static void hand_out(struct net *n, struct net_answer *answer) {
  struct transfer *t = n->done;
  n->done = t->next;
  if (!n->done) n->done_end = &n->done;
  n->pending--;
  *answer = t->answer;
  buf_init(&t->answer.body), buf_init(&t->answer.headers), buf_init(&t->answer.url);
  transfer_free(n, t);
}

int net_wait(struct net *n, int milliseconds, struct net_answer *answer, struct err *err) {
  for (bool waited = false;; waited = true) {
    int running;
    CURLMcode rc = curl_multi_perform(n->multi, &running);
    if (rc) return err_set(err, ERR_IO, "HTTP: %s", curl_multi_strerror(rc)), -1;
    collect(n);
    if (cancel_check(err)) return -1;
    if (n->done) {
      hand_out(n, answer);
      return 1;
    }
    if (!n->busy || waited) return 0;
    struct curl_waitfd extra = {.fd = cancel_fd(), .events = CURL_WAIT_POLLIN};
    rc = curl_multi_poll(n->multi, &extra, extra.fd >= 0, milliseconds, NULL);
    if (rc) return err_set(err, ERR_IO, "HTTP: %s", curl_multi_strerror(rc)), -1;
  }
}

#else

int net_new(struct net **out, unsigned connections, struct err *err) {
  (void)out, (void)connections;
  return err_set(err, ERR_UNSUPPORTED,
                 "this build has no HTTP: install libcurl4-openssl-dev and build again");
}
void net_free(struct net *n) {
  (void)n;
}
int net_submit(struct net *n, const struct net_request *request, uint64_t *id, struct err *err) {
  (void)n, (void)request, (void)id;
  return err_set(err, ERR_UNSUPPORTED, "this build has no HTTP");
}
size_t net_pending(const struct net *n) {
  (void)n;
  return 0;
}
int net_wait(struct net *n, int milliseconds, struct net_answer *answer, struct err *err) {
  (void)n, (void)milliseconds, (void)answer;
  return err_set(err, ERR_UNSUPPORTED, "this build has no HTTP"), -1;
}

#endif
