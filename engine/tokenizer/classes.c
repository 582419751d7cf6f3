/* SPDX-License-Identifier: MIT */
/* Classes of characters as the reference sees them.
 *
 * Libraries disagree about \p{L} (141,028 members in tokenizers 0.23, 131,756 in PCRE2 10.42), so
 * the table is our own, made by tests/reference/tokenizer_classes.py, which asks the reference
 * about each character:
 *
 *   class_index[c / 256] ──► class_blocks[…][c % 256 / 16], four bits for each character
 *
 * Characters of one byte have a table of their own; a test holds the two equal.
 */
#include "base/utf8.h"
#include "tokenizer/parts.h"

#include "tokenizer/classes.inc"

unsigned class_of(uint32_t c) {
  const uint64_t *block = class_blocks[class_index[c >> 8]];
  return (unsigned)(block[c >> 4 & 15] >> (c & 15) * 4) & 15;
}

#define W CLASS_WORD
#define L (CLASS_LETTER | W)
#define N (CLASS_NUMBER | W)
#define S CLASS_SPACE
#define X CLASS_WIDE

/* clang-format off */
const uint8_t class_byte[256] = {
  0,0,0,0,0,0,0,0,0,S,S,S,S,S,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
  S,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0, N,N,N,N,N,N,N,N,N,N,0,0,0,0,0,0,
  0,L,L,L,L,L,L,L,L,L,L,L,L,L,L,L, L,L,L,L,L,L,L,L,L,L,L,0,0,0,0,W,
  0,L,L,L,L,L,L,L,L,L,L,L,L,L,L,L, L,L,L,L,L,L,L,L,L,L,L,0,0,0,0,0,
  X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
  X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
  X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
  X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
};
/* clang-format on */

/* Two and three bytes, the common case, are read here; the rest and the malformed by utf8_decode. */
unsigned class_wide(const char *s, size_t n, size_t *used) {
  const unsigned char *p = (const unsigned char *)s;
  if (p[0] >= 0xC2 && p[0] < 0xE0 && n > 1 && p[1] >> 6 == 2) {
    *used = 2;
    return class_of((p[0] & 31u) << 6 | (p[1] & 63u));
  }
  if (p[0] > 0xE0 && p[0] < 0xF0 && p[0] != 0xED && n > 2 && p[1] >> 6 == 2 && p[2] >> 6 == 2) {
    *used = 3;
    return class_of((p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u));
  }
  size_t bytes;
  uint32_t c = utf8_decode(s, n, &bytes);
  *used = 1;
  if (c == UTF8_BAD) return 0;
  *used = bytes;
  return class_of(c);
}
