/* SPDX-License-Identifier: MIT */
/* Sets of characters, and what the reference knows about each character.
 *
 * A set is the sorted list of the places where membership changes:
 *
 *   [a-z_]   →   5F 60 61 7B        in from 5F, out from 60, in from 61, out from 7B
 *
 * Beyond the characters there is one more member, CHARSET_BAD, for a byte that is not UTF-8: it is
 * in no named set, so in every negated one. A failed allocation makes a set `failed`; what is
 * done with it later does nothing; ask charset_check once at the end.
 */
#ifndef LATHE_TOKENIZER_CHARSET_H
#define LATHE_TOKENIZER_CHARSET_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARSET_BAD 0x110000u
#define CHARSET_END 0x110001u

struct charset {
  uint32_t *at;
  size_t count, cap;
  bool failed;
};
void charset_clear(struct charset *s); /* frees; {0} is the empty set */
int charset_check(const struct charset *s, struct err *err);
void charset_add(struct charset *s, uint32_t first, uint32_t last); /* last is a member */
void charset_or(struct charset *s, const struct charset *with);
void charset_and(struct charset *s, const struct charset *with);
void charset_negate(struct charset *s);
bool charset_has(const struct charset *s, uint32_t c);
bool charset_equal(const struct charset *a, const struct charset *b);

/* Adds the characters of \p{name}; of [[:name:]] with `bracket`; of the escape \d \s \w \h with the
 * name "\\d" …. Upper and lower case, spaces, '-' and '_' do not matter in a property's name. False:
 * there is none of that name. */
bool charset_property(struct charset *s, const char *name, size_t n, bool bracket);
/* Adds what stands for its members in (?i:…). */
void charset_fold(struct charset *s);
/* Whether a member stands for several characters there (U+00DF for "ss"). */
bool charset_folds_wide(const struct charset *s);
/* The smallest character that stands for c in (?i:…). */
uint32_t fold_char(uint32_t c);
/* Whether the last characters of this folded text are what one character stands for: that one, or
 * 0. */
uint32_t fold_several_of(const uint32_t *c, size_t count);

/* What pre-tokenizers without a pattern see in a character; 0 of CHARSET_BAD. */
enum {
  CHAR_NUMERIC = 1, /* Digits */
  CHAR_PUNCTUATION = 2,
  CHAR_GAP = 4,   /* WhitespaceSplit */
  CHAR_WORD = 8,  /* Whitespace: \w … */
  CHAR_SPACE = 16 /* … and \s */
};
unsigned char_kind(uint32_t c);
/* The number of its script as UnicodeScripts sees it; 0: none. */
unsigned char_script(uint32_t c);

#endif
