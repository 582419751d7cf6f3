/* SPDX-License-Identifier: MIT */
/* A growable run of bytes.
 *
 *   data ──► [ used: len bytes ][ 0 ][ spare … ]      a zero byte always follows, so data is a C
 * string
 *
 * A failed append leaves the contents as they were and makes the buffer `failed`; further appends
 * do nothing. So a writer may append freely and ask buf_check once at the end. buf_init/buf_clear
 * frame its life; the struct is plain data and may be read directly.
 */
#ifndef LATHE_BASE_BUF_H
#define LATHE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
  char *data; /* NULL while nothing was appended */
  size_t len, cap;
  bool failed;
};

void buf_init(struct buf *b);
void buf_clear(struct buf *b); /* frees; may be called twice; the buffer is empty and usable */
void buf_reset(struct buf *b); /* empties, keeps the memory, forgets a failure */

int buf_reserve(struct buf *b, size_t more); /* room for `more` bytes; 0 or ERR_NOMEM */
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_add_u32le(struct buf *b, uint32_t v);
void buf_add_u64le(struct buf *b, uint64_t v);

/* 0, or ERR_NOMEM with err filled when any append has failed. `what` names the thing being built.
 */
int buf_check(const struct buf *b, const char *what, struct err *err);

/* Hands the memory to the caller (mem_free) and leaves the buffer empty. Never NULL unless failed.
 */
char *buf_take(struct buf *b, size_t *len);

#endif
