/* SPDX-License-Identifier: MIT */
/* Pre-tokenizers: where the words of a piece of text end.
 *
 * GPT-2's pattern, by hand:
 *
 *   '(?:[sdmt]|ll|ve|re)          a contraction
 *   ` ?\p{L}+`  ` ?\p{N}+`  ` ?[^\s\p{L}\p{N}]+`   a run of one class, with one space before it
 *   \s+(?!\S)                     spaces up to the last one before a word, or up to the end
 *   \s+                           that last one, when it is not the U+0020 that the word took
 *
 * So after the contraction a word is decided by its first character, or its second after a space.
 */
#include "tokenizer/parts.h"

#define KIND (CLASS_LETTER | CLASS_NUMBER | CLASS_SPACE)

static size_t contraction(const char *s, size_t n) {
  if (n < 2) return 0;
  switch (s[1]) {
  case 's':
  case 'd':
  case 'm':
  case 't':
    return 2;
  case 'l':
    return n > 2 && s[2] == 'l' ? 3 : 0;
  case 'v':
  case 'r':
    return n > 2 && s[2] == 'e' ? 3 : 0;
  default:
    return 0;
  }
}

static size_t run_end(const char *s, size_t n, size_t at, unsigned kind) {
  size_t used;
  while (at < n && (class_at(s + at, n - at, &used) & KIND) == kind) at += used;
  return at;
}

static size_t space_end(const char *s, size_t n, size_t at) {
  size_t used, count = 0, last = at;
  while (at < n && class_at(s + at, n - at, &used) & CLASS_SPACE) last = at, at += used, count++;
  return at == n || count < 2 ? at : last;
}

size_t scan_gpt2(const char *s, size_t n, size_t at) {
  size_t used;
  if (s[at] == '\'') {
    size_t taken = contraction(s + at, n - at);
    if (taken) return at + taken;
  }
  unsigned kind = class_at(s + at, n - at, &used) & KIND;
  if (s[at] == ' ' && at + 1 < n) {
    unsigned second = class_at(s + at + 1, n - at - 1, &used) & KIND;
    if (second != CLASS_SPACE) return run_end(s, n, at + 1 + used, second);
  }
  return kind == CLASS_SPACE ? space_end(s, n, at) : run_end(s, n, at + used, kind);
}

size_t scan_all(const char *s, size_t n, size_t at) {
  (void)s;
  (void)at;
  return n;
}

size_t scan_words(enum scan_kind kind, const char *s, size_t n, size_t *at, uint32_t *ends,
                  size_t max) {
  size_t count = 0;
  for (; count < max && *at < n; ends[count++] = (uint32_t)*at)
    *at = kind == SCAN_GPT2 ? scan_gpt2(s, n, *at) : n;
  return count;
}

bool scan_recognise(const char *pattern, size_t n, enum scan_kind *kind) {
  (void)pattern;
  (void)n;
  (void)kind;
  return false;
}
