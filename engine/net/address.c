/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool private_v4(uint32_t ip) {
  static const struct {
    uint32_t net;
    unsigned bits;
  } blocks[] = {
      {0x00000000, 8},  /* this network */
      {0x0A000000, 8},  /* private */
      {0x64400000, 10}, /* shared between a provider's customers */
      {0x7F000000, 8},  /* loopback */
      {0xA9FE0000, 16}, /* link-local, where clouds keep their keys */
      {0xAC100000, 12}, /* private */
      {0xC0000000, 24}, /* protocol assignments */
      {0xC0A80000, 16}, /* private */
      {0xC6120000, 15}, /* benchmarks */
      {0xE0000000, 3},  /* multicast, reserved, broadcast */
  };
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    if ((ip ^ blocks[i].net) >> (32 - blocks[i].bits) == 0) return true;
  return false;
}

static bool private_v6(const unsigned char a[16]) {
  static const unsigned char zero[16], mapped[12] = {[10] = 0xFF, [11] = 0xFF},
                                       nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
  uint32_t last = (uint32_t)a[12] << 24 | (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 | a[15];
  if (!memcmp(a, mapped, 12) || !memcmp(a, nat64, 12)) return private_v4(last);
  if (!memcmp(a, zero, 12)) return true; /* :: and ::1, and old forms of IPv4 */
  if (a[0] == 0x20 && a[1] == 0x02)      /* 6to4 */
    return private_v4((uint32_t)a[2] << 24 | (uint32_t)a[3] << 16 | (uint32_t)a[4] << 8 | a[5]);
  return (a[0] & 0xFE) == 0xFC || a[0] == 0xFF || (a[0] == 0xFE && (a[1] & 0x80));
}

bool net_address_private(const struct sockaddr *a) {
  if (a->sa_family == AF_INET) {
    struct sockaddr_in v4;
    memcpy(&v4, a, sizeof v4);
    return private_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (a->sa_family == AF_INET6) {
    struct sockaddr_in6 v6;
    memcpy(&v6, a, sizeof v6);
    return private_v6(v6.sin6_addr.s6_addr);
  }
  return true;
}

struct origin {
  char scheme[8], host[256], port[8];
};

static bool origin_of(const char *url, struct origin *o) {
  const char *at = strstr(url, "://");
  if (!at || (size_t)(at - url) >= sizeof o->scheme) return false;
  snprintf(o->scheme, sizeof o->scheme, "%.*s", (int)(at - url), url);
  at += 3;
  size_t all = strcspn(at, "/?#"), host = all;
  if (memchr(at, '@', all)) return false;
  const char *bracket = *at == '[' ? memchr(at, ']', all) : NULL;
  const char *colon =
      bracket ? memchr(bracket, ':', all - (size_t)(bracket - at)) : memchr(at, ':', all);
  if (colon) host = (size_t)(colon - at);
  size_t port = colon ? all - host - 1 : 0;
  if (!host || host >= sizeof o->host || port >= sizeof o->port) return false;
  snprintf(o->host, sizeof o->host, "%.*s", (int)host, at);
  snprintf(o->port, sizeof o->port, "%.*s", (int)port, colon ? colon + 1 : "");
  if (!port) snprintf(o->port, sizeof o->port, "%s", strcasecmp(o->scheme, "https") ? "80" : "443");
  return true;
}

bool net_url_private(const char *url) {
  struct origin o;
  struct in_addr v4;
  struct in6_addr v6;
  if (!origin_of(url, &o)) return false;
  size_t n = strlen(o.host);
  if (!strcasecmp(o.host, "localhost")) return true;
  if (inet_pton(AF_INET, o.host, &v4) == 1) return private_v4(ntohl(v4.s_addr));
  if (o.host[0] != '[' || o.host[n - 1] != ']') return false;
  o.host[n - 1] = 0;
  return inet_pton(AF_INET6, o.host + 1, &v6) == 1 && private_v6(v6.s6_addr);
}

bool net_same_origin(const char *a, const char *b) {
  struct origin x, y;
  return origin_of(a, &x) && origin_of(b, &y) && !strcasecmp(x.scheme, y.scheme) &&
         !strcasecmp(x.host, y.host) && !strcmp(x.port, y.port);
}
