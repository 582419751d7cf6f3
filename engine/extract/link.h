/* SPDX-License-Identifier: MIT */
/* What client.c offers to members.c: the messages of one request, one after the other, before they
 * are made into text. The engine's side only. */
#ifndef LATHE_EXTRACT_LINK_H
#define LATHE_EXTRACT_LINK_H

#include "base/buf.h"
#include "base/err.h"
#include "extract/client.h"

/* As extract_begin, without the hash of the file; member_max goes into the request. */
int extract_begin_archive(struct extract *x, const char *path, const char *name,
                          const struct extract_members_options *options, struct err *err);

/* 1: a message, its kind in frame[0], *n bytes with that; valid until the next call, a zero byte
 * follows it. RESULT, META and NOTE are taken by the client and not given. 0: the child has ended
 * well. −1: it has not; extract_reason(x) says why. */
int extract_frame(struct extract *x, const unsigned char **frame, size_t *n, struct err *err);
/* What extract_reason(x) says from now on. */
void extract_set_reason(struct extract *x, const char *reason);

/* Ends the child, whatever it is doing, and the program with it. */
void extract_stop(struct extract *x);

/* Appends a hostile string as one line of valid UTF-8: control characters are white space, and
 * white space is single spaces. */
int extract_clean_line(const void *bytes, size_t n, struct buf *out, const char *what,
                       struct err *err);

/* A client of the same program for one more document at a time, kept by x for the next; and back. */
int extract_spare(struct extract *x, struct extract **out, struct err *err);
void extract_unspare(struct extract *x, struct extract *spare); /* x may be NULL */

#endif
