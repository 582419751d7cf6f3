/* SPDX-License-Identifier: MIT */
/* The bounded reader: the one way in which bytes from outside become numbers and strings.
 *
 *   start ──► [ already read ][ p … end )        a read past `end` gives zero and sets `bad`
 *
 * Sticky: after the first bad read every later one gives zero and the position stays, so a parser
 * may read a whole header and check once. Numbers are little-endian. The reader owns nothing.
 */
#ifndef LATHE_BASE_READER_H
#define LATHE_BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct reader {
  const unsigned char *start, *p, *end;
  bool bad;
};

void reader_init(struct reader *r, const void *bytes, size_t n);
size_t reader_at(const struct reader *r);   /* offset from the start */
size_t reader_left(const struct reader *r); /* bytes still unread; 0 once bad */

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
int32_t reader_i32(struct reader *r);
int64_t reader_i64(struct reader *r);
float reader_f32(struct reader *r);
double reader_f64(struct reader *r);

/* n bytes in place (not copied), or NULL when fewer are left. n = 0 gives a non-NULL pointer. */
const void *reader_bytes(struct reader *r, uint64_t n);
bool reader_skip(struct reader *r, uint64_t n);
bool reader_seek(struct reader *r, uint64_t offset); /* from the start */

/* 0, or ERR_FORMAT "WHAT: ends early at byte N". */
int reader_check(const struct reader *r, const char *what, struct err *err);

#endif
