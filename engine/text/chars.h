/* SPDX-License-Identifier: MIT */
/* Classes of characters that the measures of quality and the rules of cleaning share: white space,
 * letters, marks, numbers, and the signs that end a sentence. ASCII by a table, the rest by utf8proc
 * and, for ends of sentences, by the property Sentence_Terminal of Unicode 15 (the only one of
 * these that utf8proc does not have). */
#ifndef LATHE_TEXT_CHARS_H
#define LATHE_TEXT_CHARS_H

#include <stdint.h>

enum char_class {
  CHAR_SPACE = 1,  /* White_Space, and U+001C–1F as in Python */
  CHAR_LETTER = 2, /* categories L* */
  CHAR_MARK = 4,   /* M* */
  CHAR_NUMBER = 8, /* N* */
  CHAR_END = 16,   /* ends a sentence */
  CHAR_LINE = 32,  /* ends a line: U+000A–D, 1C–1E, 85, 2028, 2029 */
  CHAR_JOIN = 64,  /* stays in a word when letters stand on both sides */
  CHAR_WORD = 128  /* letters, marks, numbers, '_' */
};

extern const unsigned char char_ascii[128];
unsigned char_other(uint32_t c); /* for c ≥ 128 */

static inline unsigned char_class(uint32_t c) {
  return c < 128 ? char_ascii[c] : char_other(c);
}

#endif
