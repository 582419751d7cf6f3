/* SPDX-License-Identifier: MIT */
/* How long a stretch is and how far a size reaches, without walking through it; see chunk_parts.h.
 *
 * One pass counts the characters that begin before each 64th byte. A length is then two look-ups and
 * two counts in a block of 64 bytes; a reach is a search over blocks that begins where ASCII would
 * end. A text of ASCII only needs none of it: a character is a byte. Tokens are searched in their
 * own list.
 */
#include "base/mem.h"
#include "text/chunk_parts.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64

/* One bit for each of 64 bytes: a character begins there (it is no continuation byte). */
static uint64_t starts_of(const char *p) {
#ifdef __SSE2__
  uint64_t mask = 0;
  const __m128i last = _mm_set1_epi8((char)0xBF); /* continuations are −128 … −65 */
  for (int i = 0; i < 4; i++) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(v, last)) << (16 * i);
  }
  return mask;
#else
  uint64_t mask = 0;
  for (int i = 0; i < BLOCK; i++) mask |= (uint64_t)(((unsigned char)p[i] & 0xC0) != 0x80) << i;
  return mask;
#endif
}

/* The same for a block at the end of the text: bytes that are not there begin nothing. */
static uint64_t starts_at(const struct chunk_index *x, size_t block) {
  size_t at = block * BLOCK;
  if (x->n - at >= BLOCK) return starts_of(x->s + at);
  char bytes[BLOCK];
  memset(bytes, 0x80, sizeof bytes);
  memcpy(bytes, x->s + at, x->n - at);
  return starts_of(bytes);
}

/* How many there are in a whole block. */
static unsigned count_of(const char *p) {
#ifdef __SSE2__
  const __m128i last = _mm_set1_epi8((char)0xBF);
  __m128i sum = _mm_setzero_si128();
  for (int i = 0; i < 4; i++) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    sum = _mm_sub_epi8(sum, _mm_cmpgt_epi8(v, last)); /* each true lane is −1 */
  }
  sum = _mm_sad_epu8(sum, _mm_setzero_si128());
  return (unsigned)(_mm_cvtsi128_si32(sum) + _mm_extract_epi16(sum, 4));
#else
  return (unsigned)__builtin_popcountll(starts_of(p));
#endif
}

static bool all_ascii(const char *s, size_t n) {
  size_t i = 0;
  uint64_t w[8], bits;
  for (; n - i >= sizeof w; i += sizeof w) {
    memcpy(w, s + i, sizeof w);
    bits = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
    if (bits & 0x8080808080808080u) return false;
  }
  for (; i < n; i++)
    if ((unsigned char)s[i] >= 0x80) return false;
  return true;
}

static int make_blocks(struct chunk_index *x, struct chunk_work *w, struct err *err) {
  size_t count = x->n / BLOCK + 1;
  uint32_t total = 0, *blocks = w->blocks;
  if (count > w->blocks_cap) {
    blocks = mem_rearray(w->blocks, count, sizeof *blocks);
    if (!blocks) return err_nomem(err, count * sizeof *blocks, "counts of characters");
    w->blocks = blocks;
    w->blocks_cap = count;
  }
  size_t whole = x->n / BLOCK;
  for (size_t i = 0; i < whole; i++) {
    blocks[i] = total;
    total += count_of(x->s + i * BLOCK);
  }
  blocks[whole] = total;
  x->blocks = blocks;
  return 0;
}

static int check_tokens(const struct chunk_index *x, struct err *err) {
  for (size_t i = 0; i < x->token_count; i++) {
    const struct chunk_token *t = &x->tokens[i];
    if (t->start > t->end || t->end > x->n || (i && (t->start < t[-1].start || t->end < t[-1].end)))
      return err_set(err, ERR_MISUSE,
                     "token %zu: offsets [%zu, %zu) do not fit a text of %zu bytes", i, t->start,
                     t->end, x->n);
  }
  return 0;
}

int chunk_index_make(struct chunk_index *x, enum chunk_unit unit, struct chunk_work *w,
                     const char *s, size_t n, const struct chunk_token *tokens, size_t token_count,
                     struct err *err) {
  *x = (struct chunk_index){
      .s = s, .n = n, .unit = unit, .tokens = tokens, .token_count = token_count};
  if (n >= UINT32_MAX) return err_set(err, ERR_LIMIT, "a text of 4 GiB or more cannot be cut");
  if (unit == CHUNK_TOKENS) return check_tokens(x, err);
  x->plain = unit == CHUNK_BYTES || all_ascii(s, n);
  return x->plain ? 0 : make_blocks(x, w, err);
}

/* ---- characters ---- */

/* Characters that begin before byte p. */
static size_t before(const struct chunk_index *x, size_t p) {
  size_t block = p / BLOCK;
  unsigned rest = p % BLOCK;
  size_t count = x->blocks[block];
  if (rest) count += (size_t)__builtin_popcountll(starts_at(x, block) & ((1ull << rest) - 1));
  return count;
}

/* Where character number k begins; n when there are fewer. The search begins at block `hint`, which
 * does not lie behind it. */
static size_t locate(const struct chunk_index *x, size_t k, size_t hint) {
  size_t count = x->n / BLOCK + 1, low = hint, step = 1;
  while (low + step < count && x->blocks[low + step] <= k) low += step, step *= 2;
  for (; step; step /= 2)
    if (low + step < count && x->blocks[low + step] <= k) low += step;
  uint64_t mask = starts_at(x, low);
  for (size_t skip = k - x->blocks[low]; skip && mask; skip--) mask &= mask - 1;
  return mask ? low * BLOCK + (size_t)__builtin_ctzll(mask) : x->n;
}

/* ---- tokens ---- */

/* The first token that ends behind `at` (starts: that begins at `at` or behind it). */
static size_t first_token(const struct chunk_index *x, size_t at, bool starts) {
  size_t low = 0, high = x->token_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct chunk_token *t = &x->tokens[middle];
    if (starts ? t->start >= at : t->end > at)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* ---- both ---- */

static bool inside(const struct chunk_index *x, size_t at) {
  return at > 0 && at < x->n && ((unsigned char)x->s[at] & 0xC0) == 0x80;
}

static size_t border_before(const struct chunk_index *x, size_t at) {
  while (inside(x, at)) at--;
  return at;
}

static size_t border_behind(const struct chunk_index *x, size_t at) {
  while (inside(x, at)) at++;
  return at;
}

size_t chunk_index_length(const struct chunk_index *x, size_t from, size_t to) {
  if (from >= to) return 0;
  if (x->unit == CHUNK_TOKENS) {
    size_t first = first_token(x, from, false), end = first_token(x, to, true);
    return end > first ? end - first : 0;
  }
  return x->plain ? to - from : before(x, to) - before(x, from);
}

size_t chunk_index_reach(const struct chunk_index *x, size_t from, size_t size) {
  if (x->n - from <= size && x->unit != CHUNK_TOKENS) return x->n;
  if (x->unit == CHUNK_TOKENS) {
    size_t first = first_token(x, from, false);
    if (size >= x->token_count - first) return x->n;
    size_t at = border_before(x, x->tokens[first + size].start);
    return at > from ? at : from;
  }
  if (x->plain) return border_before(x, from + size);
  return locate(x, before(x, from) + size, from / BLOCK);
}

size_t chunk_index_back(const struct chunk_index *x, size_t to, size_t size) {
  if (x->unit == CHUNK_TOKENS) {
    size_t end = first_token(x, to, true);
    if (size >= end) return 0;
    size_t at = border_behind(x, x->tokens[end - size - 1].end);
    return at < to ? at : to;
  }
  if (size >= to) return 0;
  if (x->plain) return border_behind(x, to - size);
  size_t count = before(x, to);
  if (size >= count) return 0;
  size_t far = (size_t)4 * size / BLOCK + 2, block = to / BLOCK;
  size_t hint = size < x->n / 4 && block > far ? block - far : 0;
  while (hint && x->blocks[hint] > count - size) hint /= 2; /* bytes that are not UTF-8 */
  return locate(x, count - size, hint);
}
