/* SPDX-License-Identifier: MIT */
/* Keywords of a text; see quality.h. A bit for each byte that a keyword begins with (and for all bytes of
 * its capital, where that is not ASCII: then every byte above 7F) leaves few places to compare at; a
 * keyword that was found is not looked for again. */
#include "text/quality.h"
#include "base/utf8.h"
#include "text/chars.h"

#include <string.h>
#include <utf8proc.h>

#define AT_ONCE 256 /* keywords to a walk over the text */

static uint32_t small_at(const char *s, size_t n, size_t *used) {
  unsigned char b = (unsigned char)s[0];
  if (b < 0x80) return *used = 1, b >= 'A' && b <= 'Z' ? b | 32u : b;
  uint32_t c = utf8_decode(s, n, used);
  return c == UTF8_BAD ? c : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
}

static bool word_at(const char *s, size_t n, size_t at) {
  size_t used;
  if (at >= n) return false;
  uint32_t c = utf8_decode(s + at, n - at, &used);
  return c != UTF8_BAD && char_class(c) & CHAR_WORD;
}

static bool keyword_here(const char *s, size_t n, const struct quality_keyword *w) {
  size_t i = 0, k = 0, a, b;
  while (k < w->n) {
    if (i >= n) return false;
    uint32_t wanted = utf8_decode(w->text + k, w->n - k, &b);
    if (small_at(s + i, n - i, &a) != wanted) return false;
    i += a;
    k += b;
  }
  return !word_at(s, n, i);
}

static size_t walk(const char *s, size_t n, const struct quality_keyword *words, size_t count) {
  bool first[256] = {false}, found[AT_ONCE] = {false}, inside = false;
  size_t hits = 0, used;
  for (size_t k = 0; k < count; k++) {
    unsigned char b = words[k].n ? (unsigned char)words[k].text[0] : 0;
    first[b] = true;
    if (b >= 'a' && b <= 'z') first[b & ~32] = true;
    if (b >= 0x80) memset(first + 0x80, true, 0x80);
  }
  for (size_t i = 0; i < n && hits < count; i += used) {
    unsigned char b = (unsigned char)s[i];
    used = 1;
    if (!inside && first[b]) {
      for (size_t k = 0; k < count; k++) {
        if (found[k] || !words[k].n || !keyword_here(s + i, n - i, &words[k])) continue;
        found[k] = true;
        hits++;
      }
    }
    if (b < 0x80) {
      inside = char_ascii[b] & CHAR_WORD;
    } else {
      uint32_t c = utf8_decode(s + i, n - i, &used);
      inside = c != UTF8_BAD && char_class(c) & CHAR_WORD;
    }
  }
  return hits;
}

size_t quality_keywords(const char *s, size_t n, const struct quality_keyword *words,
                        size_t count) {
  size_t hits = 0;
  for (size_t k = 0; k < count; k += AT_ONCE)
    hits += walk(s, n, words + k, count - k < AT_ONCE ? count - k : AT_ONCE);
  return hits;
}
