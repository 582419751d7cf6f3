/* SPDX-License-Identifier: MIT */
/* Where a separator stands: forward and backward search for short texts.
 *
 * Of a separator of two bytes or more the first two are looked for together, 16 places at a time: a
 * line feed is on every line, two of them are not. The C library's search is used for one byte.
 */
#include "text/chunk_parts.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first two bytes match already. */
static bool rest_is(const struct chunk_separator *sep, const char *p) {
  return sep->n <= 2 || !memcmp(p + 2, sep->s + 2, sep->n - 2);
}

#ifdef __SSE2__
/* One bit for each of the places p … p + 15 where the two bytes stand; reads 17 bytes. */
static unsigned pairs_at(const char *p, __m128i first, __m128i second) {
  __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
  return (unsigned)_mm_movemask_epi8(
      _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second)));
}
#endif

/* In [at, end): places where the separator may begin; end + n − 1 bytes are there. */
static size_t first_pair(const struct chunk_separator *sep, const char *s, size_t at, size_t end) {
#ifdef __SSE2__
  const __m128i first = _mm_set1_epi8(sep->s[0]), second = _mm_set1_epi8(sep->s[1]);
  for (; end - at >= 16; at += 16)
    for (unsigned hits = pairs_at(s + at, first, second); hits; hits &= hits - 1) {
      size_t m = at + (size_t)__builtin_ctz(hits);
      if (rest_is(sep, s + m)) return m;
    }
#endif
  for (; at < end; at++)
    if (s[at] == sep->s[0] && s[at + 1] == sep->s[1] && rest_is(sep, s + at)) return at;
  return CHUNK_NONE;
}

size_t chunk_find_first(const struct chunk_separator *sep, const char *s, size_t at, size_t to) {
  if (at >= to || to - at < sep->n) return CHUNK_NONE;
  size_t end = to - sep->n + 1;
  if (sep->n > 1) return first_pair(sep, s, at, end);
  const char *p = memchr(s + at, sep->s[0], end - at);
  return p ? (size_t)(p - s) : CHUNK_NONE;
}

static size_t last_pair(const struct chunk_separator *sep, const char *s, size_t low, size_t end) {
#ifdef __SSE2__
  const __m128i first = _mm_set1_epi8(sep->s[0]), second = _mm_set1_epi8(sep->s[1]);
  for (; end - low >= 16; end -= 16) {
    unsigned hits = pairs_at(s + end - 16, first, second);
    while (hits) {
      unsigned bit = 31 - (unsigned)__builtin_clz(hits);
      size_t m = end - 16 + bit;
      if (rest_is(sep, s + m)) return m;
      hits &= ~(1u << bit);
    }
  }
#endif
  while (end > low) {
    end--;
    if (s[end] == sep->s[0] && s[end + 1] == sep->s[1] && rest_is(sep, s + end)) return end;
  }
  return CHUNK_NONE;
}

size_t chunk_find_last(const struct chunk_separator *sep, const char *s, size_t low, size_t high,
                       size_t to) {
  if (to < sep->n) return CHUNK_NONE;
  if (high > to - sep->n) high = to - sep->n;
  if (high < low) return CHUNK_NONE;
  if (sep->n > 1) return last_pair(sep, s, low, high + 1);
  const char *p = memrchr(s + low, sep->s[0], high - low + 1);
  return p ? (size_t)(p - s) : CHUNK_NONE;
}
