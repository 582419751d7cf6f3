/* SPDX-License-Identifier: MIT */
/* Addresses that are nobody else's business: which belong to this machine or its own network, and
 * whether two URLs are of one origin. */
#ifndef LATHE_NET_ADDRESS_H
#define LATHE_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Loopback, private, link-local, shared, multicast or unspecified, of IPv4, IPv6 and IPv4 inside
 * IPv6 (RFC 6890). What is neither family counts as private. */
bool net_address_private(const struct sockaddr *a);

/* Whether the URL's host is such an address as written, or localhost. */
bool net_url_private(const char *url);

/* The same scheme, host and port. */
bool net_same_origin(const char *a, const char *b);

#endif
