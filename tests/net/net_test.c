/* SPDX-License-Identifier: MIT */
/* HTTP against a server in a thread; then the same server against the Lua side, as a program. */
#include "net/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/address.h"
#include "support/server.h"
#include "support/test.h"

static int tries, port;

static bool asks(const char *request, const char *path) {
  const char *at = strchr(request, ' ');
  size_t n = strlen(path);
  return at && !strncmp(at + 1, path, n) && strchr(" ?", at[1 + n]);
}

static void pages(const char *request, struct buf *out) {
  const char *at = strstr(request, "page=");
  int page = at ? atoi(at + 5) : 1;
  struct buf body;
  buf_init(&body);
  buf_addf(&body, "{\"items\": [{\"title\": \"Item %d\", \"source_code\": \"print(%d)\"}", page,
           page);
  buf_addf(&body, ", {\"title\": \"\", \"source_code\": \"pass # %d\"}]", page);
  if (page < 3) buf_addf(&body, ", \"next\": \"/pages?page=%d\"", page + 1);
  buf_adds(&body, "}");
  server_reply(out, 200, "application/json", NULL, body.data, body.len);
  buf_clear(&body);
}

static void answer(const char *request, struct buf *out, void *arg) {
  char to[128];
  (void)arg;
  if (asks(request, "/ok")) {
    server_reply(out, 200, "text/plain", "X-Word: one\r\nX-Word: two\r\n", "hello", 5);
  } else if (asks(request, "/echo")) {
    server_reply(out, 200, "text/plain", NULL, request, strlen(request));
  } else if (asks(request, "/twice")) {
    if (++tries % 3)
      server_reply(out, 503, "text/plain", "Retry-After-Ms: 5\r\n", "busy", 4);
    else
      server_reply(out, 200, "text/plain", NULL, "at last", 7);
  } else if (asks(request, "/never")) {
    tries++;
    server_reply(out, 500, "text/plain", "X-Should-Retry: false\r\n", "no", 2);
  } else if (asks(request, "/to-ok")) {
    server_reply(out, 302, "text/plain", "Location: /ok\r\n", "", 0);
  } else if (asks(request, "/away")) {
    snprintf(to, sizeof to, "Location: http://localhost:%d/echo\r\n", port);
    server_reply(out, 302, "text/plain", to, "", 0);
  } else if (asks(request, "/loop")) {
    server_reply(out, 302, "text/plain", "Location: /loop\r\n", "", 0);
  } else if (asks(request, "/file")) {
    server_reply(out, 302, "text/plain", "Location: file:///etc/passwd\r\n", "", 0);
  } else if (asks(request, "/big")) {
    struct buf body;
    buf_init(&body);
    for (int i = 0; i < 3000; i++) buf_adds(&body, "0123456789");
    server_reply(out, 200, "text/plain", NULL, body.data, body.len);
    buf_clear(&body);
  } else if (asks(request, "/pages")) {
    pages(request, out);
  } else if (asks(request, "/short")) {
    buf_adds(out, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
  } else if (asks(request, "/garbage")) {
    buf_adds(out, "\x01\x02\x03 no HTTP at all\r\n\r\n");
  } else {
    server_reply(out, 404, "text/plain", NULL, "not here", 8);
  }
}

static const char *url(const char *path) {
  static char text[128];
  snprintf(text, sizeof text, "http://127.0.0.1:%d%s", port, path);
  return text;
}

/* One request; the answer is the caller's. */
static int fetch(const struct net_request *r, struct net_answer *a, struct err *err) {
  struct net *n = NULL;
  uint64_t id;
  int rc = net_new(&n, 4, err);
  memset(a, 0, sizeof *a);
  if (!rc) rc = net_submit(n, r, &id, err);
  for (int got = 0; !rc && !got;) {
    got = net_wait(n, 1000, a, err);
    if (got < 0) rc = err->code;
  }
  if (!rc) CHECK_INT(a->id, id);
  net_free(n);
  return rc;
}

static void gets_status_headers_and_body(void) {
  struct net_answer a;
  struct err err;
  REQUIRE(fetch(&(struct net_request){.url = url("/ok?x=1")}, &a, &err) == 0);
  CHECK_INT(a.status, 200);
  CHECK_MEM(a.body.data, a.body.len, "hello", 5);
  CHECK(strstr(a.headers.data, "x-word: one\nx-word: two\n") != NULL);
  net_answer_clear(&a);
  REQUIRE(fetch(&(struct net_request){.url = url("/absent")}, &a, &err) == 0);
  CHECK_INT(a.status, 404);
  net_answer_clear(&a);
}

static void sends_body_and_headers(void) {
  struct net_header h[] = {{"X-Key", "secret"}, {"Content-Type", "application/json"}};
  struct net_answer a;
  struct err err;
  struct net_request r = {
      .url = url("/echo"), .headers = h, .header_count = 2, .body = "{\"a\":1}", .body_len = 7};
  REQUIRE(fetch(&r, &a, &err) == 0);
  CHECK(!strncmp(a.body.data, "POST /echo", 10));
  CHECK(strstr(a.body.data, "X-Key: secret") && strstr(a.body.data, "{\"a\":1}"));
  net_answer_clear(&a);
}

static void follows_redirects_within_limits(void) {
  struct net_header h[] = {{"X-Key", "secret"}};
  struct net_answer a;
  struct err err;
  REQUIRE(fetch(&(struct net_request){.url = url("/to-ok"), .redirects = 2}, &a, &err) == 0);
  CHECK_INT(a.status, 200);
  CHECK(a.url.len && strstr(a.url.data, "/ok"));
  net_answer_clear(&a);
  REQUIRE(fetch(&(struct net_request){.url = url("/loop"), .redirects = 5}, &a, &err) == 0);
  CHECK_INT(a.status, 0);
  CHECK(strstr(a.problem.message, "too many redirects") != NULL);
  net_answer_clear(&a);
  REQUIRE(fetch(&(struct net_request){.url = url("/file"), .redirects = 5}, &a, &err) == 0);
  CHECK_INT(a.status, 0);
  CHECK(strstr(a.problem.message, "not HTTP") != NULL);
  net_answer_clear(&a);
  struct net_request away = {.url = url("/away"), .redirects = 5, .headers = h, .header_count = 1};
  REQUIRE(fetch(&away, &a, &err) == 0);
  CHECK_INT(a.status, 0);
  CHECK(strstr(a.problem.message, "another server") != NULL);
  CHECK(!strstr(a.problem.message, "secret"));
  net_answer_clear(&a);
}

/* The first hop was to a private address by name; the second leads somewhere else that is private. */
static void a_redirect_may_not_lead_inside(void) {
  struct net_answer a;
  struct err err;
  struct net_request r = {.url = url("/away"), .redirects = 5};
  REQUIRE(fetch(&r, &a, &err) == 0);
  CHECK_INT(a.status, 0);
  CHECK(strstr(a.problem.message, "private address") != NULL);
  net_answer_clear(&a);
  r.allow_private = true;
  REQUIRE(fetch(&r, &a, &err) == 0);
  CHECK_INT(a.status, 200);
  net_answer_clear(&a);
}

static void long_broken_and_absent_answers(void) {
  struct net_answer a;
  struct err err;
  REQUIRE(fetch(&(struct net_request){.url = url("/big"), .body_max = 10000}, &a, &err) == 0);
  CHECK_INT(a.status, 0);
  CHECK_INT(a.problem.code, ERR_LIMIT);
  net_answer_clear(&a);
  static const char *const bad[] = {"/short?key=hidden", "/garbage"};
  for (size_t i = 0; i < 2; i++) {
    REQUIRE(fetch(&(struct net_request){.url = url(bad[i])}, &a, &err) == 0);
    CHECK_INT(a.status, 0);
    CHECK_INT(a.problem.code, i ? ERR_FORMAT : ERR_TRANSIENT);
    CHECK(!strstr(a.problem.message, "hidden"));
    net_answer_clear(&a);
  }
  REQUIRE(fetch(&(struct net_request){.url = "http://127.0.0.1:1/"}, &a, &err) == 0);
  CHECK_INT(a.problem.code, ERR_TRANSIENT);
  net_answer_clear(&a);
}

static void refuses_what_is_not_to_be_sent(void) {
  static const char *const urls[] = {"file:///etc/passwd",    "http://a b/", "http://a/\r\nX: y",
                                     "https://me:word@host/", "ftp://host/", ""};
  struct net_header h[] = {{"X-A", "one\r\nX-B: two"}};
  struct net_answer a;
  struct err err;
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
    CHECK_INT(fetch(&(struct net_request){.url = urls[i]}, &a, &err), ERR_MISUSE);
  struct net_request r = {.url = url("/ok"), .headers = h, .header_count = 1};
  CHECK_INT(fetch(&r, &a, &err), ERR_MISUSE);
}

static void many_at_once(void) {
  struct net *n = NULL;
  struct net_answer a;
  struct err err;
  uint64_t id, sum = 0, got_sum = 0;
  REQUIRE(net_new(&n, 3, &err) == 0);
  for (int i = 0; i < 20; i++) {
    CHECK_INT(net_submit(n, &(struct net_request){.url = url("/ok")}, &id, &err), 0);
    sum += id;
  }
  CHECK_INT(net_pending(n), 20);
  for (int got; net_pending(n) && (got = net_wait(n, 1000, &a, &err)) >= 0;) {
    if (!got) continue;
    CHECK_INT(a.status, 200);
    got_sum += a.id;
    net_answer_clear(&a);
  }
  CHECK_INT(got_sum, sum);
  CHECK_INT(net_submit(n, &(struct net_request){.url = url("/ok")}, &id, &err), 0);
  net_free(n); /* with one under way */
}

static bool private_address(const char *text) {
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) return net_address_private((void *)&v4);
  return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 && net_address_private((void *)&v6);
}

static void knows_private_addresses(void) {
  static const char *const inside[] = {
      "127.0.0.1",         "10.1.2.3",        "192.168.0.1", "172.16.0.1",
      "172.31.255.255",    "169.254.169.254", "0.0.0.0",     "224.0.0.1",
      "100.64.0.1",        "255.255.255.255", "::1",         "::",
      "fe80::1",           "fc00::1",         "fd12::1",     "::ffff:127.0.0.1",
      "64:ff9b::10.0.0.1", "2002:7f00:1::"};
  static const char *const outside[] = {"8.8.8.8",        "172.32.0.1",    "172.15.0.1",
                                        "100.128.0.1",    "1.1.1.1",       "2606:4700::1",
                                        "::ffff:8.8.8.8", "2002:808:808::"};
  for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
    if (!private_address(inside[i])) test_fail(__FILE__, __LINE__, "%s is private", inside[i]);
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
    if (private_address(outside[i])) test_fail(__FILE__, __LINE__, "%s is public", outside[i]);
  CHECK(net_url_private("http://localhost:11434/api") && net_url_private("http://[::1]/x"));
  CHECK(!net_url_private("https://example.org/127.0.0.1"));
  CHECK(net_same_origin("http://a/x", "http://A:80/y") &&
        net_same_origin("https://a", "https://a:443/"));
  CHECK(!net_same_origin("http://a/", "https://a/") &&
        !net_same_origin("http://a/", "http://a:81/"));
}

/* tests/net/http.lua prints a line for each of its tests; they are ours. */
static void the_lua_side(void) {
  char command[256];
  const char *build = getenv("LATHE_BUILD");
  fflush(stdout);
  snprintf(command, sizeof command, "%s/lathe exec tests/net/http.lua %d", build ? build : "build",
           port);
  CHECK_INT(system(command), 0);
}

int main(void) {
#ifndef HAVE_CURL
  TEST(knows_private_addresses);
  return test_done();
#endif
  struct server *s = server_start(answer, NULL);
  static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                      "ALL_PROXY"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  if (!s) return 1;
  port = server_port(s);
  TEST(gets_status_headers_and_body);
  TEST(sends_body_and_headers);
  TEST(follows_redirects_within_limits);
  TEST(a_redirect_may_not_lead_inside);
  TEST(long_broken_and_absent_answers);
  TEST(refuses_what_is_not_to_be_sent);
  TEST(many_at_once);
  TEST(knows_private_addresses);
  TEST(the_lua_side);
  server_stop(s);
  return test_done();
}
