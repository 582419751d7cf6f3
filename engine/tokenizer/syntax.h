/* SPDX-License-Identifier: MIT */
/* The reference's regular expressions, read: a pattern for PCRE2 whose characters are sets.
 *
 * The reference reads them as Oniguruma does, in its own syntax. What comes out uses only the little
 * that means the same to PCRE2 (groups, alternatives, repetition, look-around), and instead of each
 * character, class, \p{…}, \b … the mark SYNTAX_SET and four bytes, the number of a set in the
 * machine's byte order.
 */
#ifndef LATHE_TOKENIZER_SYNTAX_H
#define LATHE_TOKENIZER_SYNTAX_H

#include "base/buf.h"
#include "tokenizer/charset.h"

#define SYNTAX_SET        '\001'
#define SYNTAX_MAX_BYTES  (64u << 10)
#define SYNTAX_MAX_SETS   4096
#define SYNTAX_MAX_DEPTH  64
#define SYNTAX_MAX_REPEAT 65535

struct syntax {
  struct buf text;
  struct charset *sets;
  size_t count, cap;
  bool lazy;   /* has a repetition that takes as little as it can */
  bool atomic; /* has a group that is not gone back into */
};
/* ERR_FORMAT: the reference refuses it too. ERR_UNSUPPORTED: it does not. ERR_LIMIT: too large. All
 * name the construct and its byte. */
int syntax_parse(struct syntax *x, const char *regex, size_t n, struct err *err);
void syntax_clear(struct syntax *x);

#endif
