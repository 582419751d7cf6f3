/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for base/utf8: the fast paths agree with decoding one character at a time. */
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *s = (const char *)data;
  size_t first_bad = size, characters = 0, bad = 0;
  struct buf plain, lossy;
  buf_init(&plain), buf_init(&lossy);
  for (size_t at = 0, used; at < size; at += used) {
    char out[4];
    uint32_t c = utf8_decode(s + at, size - at, &used);
    if (!used || used > 4 || used > size - at) abort();
    if (c == UTF8_BAD && !bad++) first_bad = at;
    characters++;
    size_t n = utf8_encode(c == UTF8_BAD ? 0xFFFD : c, out);
    if (c != UTF8_BAD && (n != used || memcmp(out, s + at, n))) abort();
    buf_add(&plain, out, n);
  }
  if (utf8_check(s, size) != first_bad) abort();
  if (utf8_lossy(s, size, &lossy) != bad) abort();
  if (lossy.len != plain.len || (plain.len && memcmp(lossy.data, plain.data, plain.len))) abort();
  if (plain.len && utf8_check(plain.data, plain.len) != plain.len) abort();
  if (plain.len && utf8_count(plain.data, plain.len) != characters) abort();
  for (size_t at = 0; at <= plain.len && at < 64; at++)
    if (plain.len && utf8_floor(plain.data, plain.len, at) > at) abort();
  buf_clear(&plain), buf_clear(&lossy);
  return 0;
}
