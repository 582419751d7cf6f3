/* SPDX-License-Identifier: MIT */
/* The byte-level alphabet: every byte has a printable character, so that tokens of arbitrary bytes
 * can be written as text.
 *
 *   0x21–0x7E, 0xA1–0xAC, 0xAE–0xFF   themselves
 *   the other 68, in order            U+0100, U+0101, …  (0x20, the space, is U+0120 'Ġ')
 */
#include "base/utf8.h"
#include "tokenizer/parts.h"

#include <string.h>

static bool is_itself(unsigned b) {
  return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

uint32_t byte_char(unsigned b) {
  if (is_itself(b)) return b;
  if (b <= 0x20) return 0x100 + b;
  if (b <= 0xA0) return 0x100 + 33 + (b - 0x7F);
  return 0x143; /* 0xAD */
}

int char_byte(uint32_t c) {
  if (c < 0x100) return is_itself(c) ? (int)c : -1;
  if (c <= 0x120) return (int)(c - 0x100);
  if (c <= 0x142) return (int)(c - 0x121 + 0x7F);
  return c == 0x143 ? 0xAD : -1;
}

size_t byte_char_put(unsigned b, char out[2]) {
  char four[4];
  size_t n = utf8_encode(byte_char(b), four);
  memcpy(out, four, n);
  return n;
}

/* A token with a character outside the alphabet stands for itself, as in the reference. */
size_t bytes_decode(const char *s, size_t n, char *out) {
  const unsigned char *p = (const unsigned char *)s;
  size_t count = 0;
  for (size_t at = 0; at < n; at++) {
    uint32_t c = p[at]; /* the alphabet has characters of one and two bytes */
    if (c >= 0x80)
      c = c >= 0xC2 && c < 0xE0 && at + 1 < n && (p[at + 1] & 0xC0) == 0x80
              ? (c & 0x1F) << 6 | (p[++at] & 0x3Fu)
              : UTF8_BAD;
    int b = char_byte(c);
    if (b < 0) {
      memcpy(out, s, n);
      return n;
    }
    out[count++] = (char)b;
  }
  return count;
}
