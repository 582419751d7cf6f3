/* SPDX-License-Identifier: MIT */
/* UTF-8; see utf8.h. Table 3-7 of the Unicode standard gives the permitted second bytes. */
#include "base/utf8.h"

#include <string.h>

uint32_t utf8_decode(const char *s, size_t n, size_t *used) {
  const unsigned char *p = (const unsigned char *)s;
  unsigned char c = p[0], low = 0x80, high = 0xBF;
  size_t want;
  uint32_t v;
  *used = 1;
  if (c < 0x80) return c;
  if (c >= 0xC2 && c <= 0xDF)
    want = 2, v = c & 0x1Fu;
  else if (c >= 0xE0 && c <= 0xEF)
    want = 3, v = c & 0x0Fu;
  else if (c >= 0xF0 && c <= 0xF4)
    want = 4, v = c & 0x07u;
  else
    return UTF8_BAD;
  if (c == 0xE0) low = 0xA0;
  if (c == 0xED) high = 0x9F;
  if (c == 0xF0) low = 0x90;
  if (c == 0xF4) high = 0x8F;
  for (size_t i = 1; i < want; i++, low = 0x80, high = 0xBF) {
    if (i >= n || p[i] < low || p[i] > high) {
      *used = i;
      return UTF8_BAD;
    }
    v = v << 6 | (p[i] & 0x3Fu);
  }
  *used = want;
  return v;
}

size_t utf8_encode(uint32_t c, char out[4]) {
  unsigned char *p = (unsigned char *)out;
  if (c < 0x80) {
    p[0] = (unsigned char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = n - 1; i > 0; i--, c >>= 6) p[i] = (unsigned char)(0x80 | (c & 0x3F));
  p[0] = (unsigned char)(lead[n] | c);
  return n;
}

size_t utf8_check(const char *s, size_t n) {
  size_t i = 0, used;
  while (i < n) {
    uint64_t w;
    if (n - i >= 8 && (memcpy(&w, s + i, 8), (w & 0x8080808080808080u) == 0)) {
      i += 8;
      continue;
    }
    const unsigned char *p = (const unsigned char *)s + i;
    if (*p < 0x80) {
      i++;
      continue;
    }
    if (*p >= 0xC2 && *p <= 0xDF && n - i >= 2 && (p[1] & 0xC0) == 0x80) {
      i += 2;
      continue;
    }
    if (utf8_decode(s + i, n - i, &used) == UTF8_BAD) return i;
    i += used;
  }
  return n;
}

size_t utf8_count(const char *s, size_t n) {
  const uint64_t ones = 0x0101010101010101u;
  size_t count = n, i = 0;
  for (uint64_t w; n - i >= 8; i += 8) { /* continuations have bit 7 and not bit 6 */
    memcpy(&w, s + i, 8);
    count -= (size_t)(((w >> 7 & ~w >> 6 & ones) * ones) >> 56);
  }
  for (; i < n; i++) count -= ((unsigned char)s[i] & 0xC0) == 0x80;
  return count;
}

size_t utf8_floor(const char *s, size_t n, size_t at) {
  if (at >= n) return n;
  while (at > 0 && ((unsigned char)s[at] & 0xC0) == 0x80) at--;
  return at;
}

size_t utf8_lossy(const char *s, size_t n, struct buf *out) {
  size_t replaced = 0;
  while (n > 0) {
    size_t good = utf8_check(s, n), used;
    buf_add(out, s, good);
    s += good, n -= good;
    if (n == 0) break;
    utf8_decode(s, n, &used);
    buf_adds(out, "\xEF\xBF\xBD");
    s += used, n -= used;
    replaced++;
  }
  return replaced;
}
