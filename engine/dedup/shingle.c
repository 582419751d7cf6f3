/* SPDX-License-Identifier: MIT */
/* Shingles; see shingle.h.
 *
 * One table look-up a character of the Basic Multilingual Plane says what it becomes:
 *
 *   0            no part of a word: blanks, signs, punctuation
 *   DROP         nothing: marks (accents), zero-width characters
 *   '0'          a digit; a whole number, with decimals, is one '0', or what it is
 *   SINGLE | c   a word of its own
 *   c            the letter c, in small, without its accents
 *
 * Word hashes are combined as a polynomial that rolls: entering and leaving words cost one
 * multiplication each, however long the shingle is.
 */
#include "dedup/shingle.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

#define BMP      65536u
#define DROP     UINT32_MAX
#define SINGLE   0x40000000u
#define MULTIPLY UINT64_C(0x9e3779b97f4a7c15)
#define PRIME    UINT64_C(0xd6e8feb86659fd93)

/* A bijection that spreads every bit over all (the finaliser of SplitMix64), here to be inlined. */
static inline uint64_t mix(uint64_t v) {
  v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
  return v ^ v >> 31;
}

/* The next character; ASCII without a call. */
static inline uint32_t character(const char *s, size_t n, size_t *used) {
  *used = 1;
  return (unsigned char)*s < 0x80 ? (unsigned char)*s : utf8_decode(s, n, used);
}

struct shingle_table {
  uint32_t becomes[BMP];
  bool distinct_numbers;
};

static bool without_blanks(uint32_t c) {
  return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x0e00 && c <= 0x0eff) ||
         (c >= 0x1780 && c <= 0x17ff) || (c >= 0x1000 && c <= 0x109f) ||
         (c >= 0x20000 && c <= 0x3ffff);
}

static uint32_t simplify(uint32_t c) {
  utf8proc_int32_t parts[16];
  int boundary = 0;
  uint32_t base = c;
  if (!(c >= 0xac00 && c <= 0xd7a3)) { /* Hangul syllables stay whole */
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, parts, 16, UTF8PROC_DECOMPOSE, &boundary);
    if (n > 0 && n <= 16) base = (uint32_t)parts[0];
  }
  base = (uint32_t)utf8proc_tolower((utf8proc_int32_t)base);
  switch (utf8proc_category((utf8proc_int32_t)base)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return without_blanks(base) ? SINGLE | base : base;
  case UTF8PROC_CATEGORY_ND:
    return '0';
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return base;
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_CF:
    return DROP;
  case UTF8PROC_CATEGORY_MC:
    return base;
  default:
    return 0;
  }
}

int shingle_table_new(struct shingle_table **out, bool distinct_numbers, struct err *err) {
  struct shingle_table *t = mem_alloc(sizeof *t);
  *out = t;
  if (!t) return err_nomem(err, sizeof *t, "shingles");
  for (uint32_t c = 0; c < BMP; c++) t->becomes[c] = simplify(c);
  t->distinct_numbers = distinct_numbers;
  return 0;
}

void shingle_table_free(struct shingle_table *t) {
  mem_free(t);
}

void shingles_clear(struct shingles *s) {
  mem_free(s->v);
  *s = (struct shingles){0};
}

/* ---- words ---- */

struct words {
  const struct shingle_table *t;
  const char *s;
  size_t n, at;
  size_t start; /* of the word that was read last; it ends at `at`, or before marks */
};

/* What may stand between a number's digits, once: . , and their kin of other scripts. */
static bool is_decimal(uint32_t c) {
  return c == '.' || c == ',' || c == 0x060c || c == 0x066b || (c >= 0x2396 && c <= 0x2398);
}

static bool is_digit(const struct words *w, size_t at) {
  size_t used;
  if (at >= w->n) return false;
  uint32_t c = character(w->s + at, w->n - at, &used);
  return c < BMP && w->t->becomes[c] == '0';
}

/* What stands for the number whose first digit, of so many bytes, ends at w->at. Passes over the rest of
 * it, decimals included. */
static uint64_t number(struct words *w, size_t first) {
  size_t from = w->at - first;
  bool point = false;
  for (size_t used; w->at < w->n; w->at += used) {
    uint32_t c = character(w->s + w->at, w->n - w->at, &used);
    if (c < BMP && w->t->becomes[c] == '0') continue;
    if (point || !is_decimal(c) || !is_digit(w, w->at + used)) break;
    point = true;
  }
  return w->t->distinct_numbers ? hash_xxh3(w->s + from, w->at - from, 0) : '0';
}

/* The next word's letters, handed one by one to the hash. Returns false at the end. */
static bool next_word(struct words *w, uint64_t *hash) {
  uint64_t h = MULTIPLY;
  bool any = false;
  for (size_t used; w->at < w->n;) {
    uint32_t c = character(w->s + w->at, w->n - w->at, &used);
    uint32_t to = c < BMP ? w->t->becomes[c] : c == UTF8_BAD ? 0 : simplify(c);
    if (to == 0 || (to != DROP && (to & SINGLE) && any)) {
      if (any) break;
      w->at += used;
      continue;
    }
    if (!any) w->start = w->at;
    w->at += used;
    if (to == DROP) continue;
    h = (h ^ (to == '0' ? number(w, used) : to)) * MULTIPLY;
    h ^= h >> 29;
    any = true;
    if (to & SINGLE) break;
  }
  *hash = mix(h);
  return any;
}

static int append(struct shingles *s, uint32_t v, struct err *err) {
  if (s->n == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 256;
    uint32_t *grown = mem_rearray(s->v, cap, sizeof *grown);
    if (!grown) return err_nomem(err, cap * sizeof *grown, "shingles");
    s->v = grown;
    s->cap = cap;
  }
  s->v[s->n++] = v;
  return 0;
}

int shingle_text(const struct shingle_table *t, const char *text, size_t n, unsigned k,
                 struct shingles *out, struct err *err) {
  struct words w = {.t = t, .s = text, .n = n};
  uint64_t ring[SHINGLE_WORDS_MAX], sum = 0, top = 1, hash;
  size_t count = 0;
  int rc = 0;
  if (k < 1 || k > SHINGLE_WORDS_MAX)
    return err_set(err, ERR_MISUSE, "a shingle has 1 to %d words, not %u", SHINGLE_WORDS_MAX, k);
  for (unsigned i = 0; i < k; i++) top *= PRIME;
  while (!rc && next_word(&w, &hash)) {
    sum = sum * PRIME + hash;
    if (count >= k) sum -= ring[count % k] * top;
    ring[count % k] = hash;
    if (++count >= k) rc = append(out, (uint32_t)mix(sum), err);
  }
  if (!rc && count && count < k) rc = append(out, (uint32_t)mix(sum), err);
  return rc;
}

int shingle_runs(const struct shingle_table *t, const char *text, size_t n, unsigned k,
                 shingle_each *each, void *arg, struct err *err) {
  struct words w = {.t = t, .s = text, .n = n};
  uint64_t ring[SHINGLE_WORDS_MAX], sum = 0, top = 1, hash;
  size_t starts[SHINGLE_WORDS_MAX], count = 0;
  int rc = 0;
  if (k < 1 || k > SHINGLE_WORDS_MAX)
    return err_set(err, ERR_MISUSE, "a shingle has 1 to %d words, not %u", SHINGLE_WORDS_MAX, k);
  for (unsigned i = 0; i < k; i++) top *= PRIME;
  while (!rc && next_word(&w, &hash)) {
    sum = sum * PRIME + hash;
    if (count >= k) sum -= ring[count % k] * top;
    ring[count % k] = hash;
    starts[count % k] = w.start;
    if (++count >= k) rc = each(arg, mix(sum), starts[count % k], w.at, err);
  }
  return rc;
}

size_t shingle_digest(const struct shingle_table *t, const char *text, size_t n, uint64_t out[2]) {
  struct words w = {.t = t, .s = text, .n = n};
  uint64_t hash, a = 0, b = 0, count = 0;
  while (next_word(&w, &hash)) {
    a = mix(a * PRIME + hash);
    b = mix((b ^ hash) * MULTIPLY + 1);
    count++;
  }
  const uint64_t all[] = {a, b, count};
  hash_xxh3_128(all, sizeof all, 1, out);
  return (size_t)count;
}

/* ---- sets ---- */

static void insertion_sort(uint32_t *v, size_t n) {
  for (size_t i = 1; i < n; i++) {
    uint32_t x = v[i];
    size_t j = i;
    for (; j > 0 && v[j - 1] > x; j--) v[j] = v[j - 1];
    v[j] = x;
  }
}

/* Four passes of eight bits, each from one half to the other. */
static void radix_sort(uint32_t *v, uint32_t *spare, size_t n) {
  size_t counts[4][256] = {0};
  for (size_t i = 0; i < n; i++)
    for (unsigned d = 0; d < 4; d++) counts[d][v[i] >> 8 * d & 255]++;
  for (unsigned d = 0; d < 4; d++) {
    size_t at = 0;
    for (unsigned b = 0; b < 256; b++) {
      size_t c = counts[d][b];
      counts[d][b] = at;
      at += c;
    }
    for (size_t i = 0; i < n; i++) spare[counts[d][v[i] >> 8 * d & 255]++] = v[i];
    uint32_t *swap = v;
    v = spare;
    spare = swap;
  }
}

int shingles_unique(struct shingles *s, struct err *err) {
  if (s->n <= 48) {
    insertion_sort(s->v, s->n);
  } else {
    uint32_t *spare = mem_array(s->n, sizeof *spare);
    if (!spare) return err_nomem(err, s->n * sizeof *spare, "shingles");
    radix_sort(s->v, spare, s->n);
    mem_free(spare);
  }
  size_t to = 0;
  for (size_t i = 0; i < s->n; i++)
    if (!to || s->v[i] != s->v[to - 1]) s->v[to++] = s->v[i];
  s->n = to;
  return 0;
}

double shingle_jaccard(const uint32_t *a, size_t an, const uint32_t *b, size_t bn, size_t cap) {
  size_t i = 0, j = 0, both = 0, all = 0;
  bool cut = an >= cap || bn >= cap;
  while (i < an && j < bn && !(cut && all == cap)) {
    both += a[i] == b[j];
    uint32_t x = a[i], y = b[j];
    i += x <= y;
    j += y <= x;
    all++;
  }
  if (!cut) all += (an - i) + (bn - j);
  if (cut && all < cap) {
    size_t rest = (an - i) + (bn - j);
    all += rest < cap - all ? rest : cap - all;
  }
  return all ? (double)both / (double)all : 0.0;
}
