/* SPDX-License-Identifier: MIT */
/* Classes of characters as the reference sees them.
 *
 * Libraries disagree about \p{L} (141,028 members in tokenizers 0.23, 131,756 in PCRE2 10.42), so
 * the table is our own, made by tests/reference/tokenizer_classes.py, which asks the reference
 * about each character:
 *
 *   class_index[c / 256] ──► class_blocks[…][c % 256 / 16], four bits for each character
 */
#include <string.h>

#include "base/utf8.h"
#include "tokenizer/parts.h"

#include "tokenizer/classes.inc"

unsigned class_of(uint32_t c) {
  const uint64_t *block = class_blocks[class_index[c >> 8]];
  return (unsigned)(block[c >> 4 & 15] >> (c & 15) * 4) & 15;
}

unsigned class_at(const char *s, size_t n, size_t *used) {
  unsigned char lead = (unsigned char)*s;
  *used = 1;
  if (lead < 0x80) return class_of(lead);
  size_t bytes;
  uint32_t c = utf8_decode(s, n, &bytes);
  if (c == UTF8_BAD) return 0;
  *used = bytes;
  return class_of(c);
}
