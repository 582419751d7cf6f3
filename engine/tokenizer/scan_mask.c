/* SPDX-License-Identifier: MIT */
/* Words of plain text, sixty-four bytes at a time: bytes are sorted into kinds, one bit each, and
 * the bits that begin words come out of shifts and ands.
 *
 *   text      ·the·cat's·12·dogs.      · is a space
 *   letter    .111.111.1....1111.
 *   starts    1...1...1.1..1....1      bit i: a word begins at byte i
 *
 * Where a rule looks back further than a shift does (line ends absorbed by the word before them,
 * spaces before a line end), a carry runs through the bits, or the few places where it happens are
 * visited one by one.
 *
 * A window begins where a word begins, so nothing before it matters; a byte of 0x80 or more ends it,
 * and so does the end of the text. What cannot be told without the bytes behind the window is not
 * told: the next window begins with the last word that was begun for sure.
 */
#include <string.h>

#include "tokenizer/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

struct masks {
  uint64_t letter, upper, number, space;
  uint64_t blank, line, quote, slash; /* U+0020; CR and LF; ' ; / */
  uint64_t wide, e2;                  /* 0x80 and more; 0xE2, which begins U+2581 */
};

/* ---- bytes to bits ---- */

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f,avx512bw,bmi,bmi2,popcnt")))

AVX512 INLINE void masks_avx512(const char *s, struct masks *m) {
  __m512i v = _mm512_loadu_si512(s);
  __m512i low = _mm512_or_si512(v, _mm512_set1_epi8(32));
  __m512i from_a = _mm512_sub_epi8(low, _mm512_set1_epi8('a'));
  __m512i from_0 = _mm512_sub_epi8(v, _mm512_set1_epi8('0'));
  __m512i from_tab = _mm512_sub_epi8(v, _mm512_set1_epi8('\t'));
  m->letter = _mm512_cmplt_epu8_mask(from_a, _mm512_set1_epi8(26));
  m->upper = m->letter & ~_mm512_test_epi8_mask(v, _mm512_set1_epi8(32));
  m->number = _mm512_cmplt_epu8_mask(from_0, _mm512_set1_epi8(10));
  m->blank = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(' '));
  m->space = m->blank | _mm512_cmplt_epu8_mask(from_tab, _mm512_set1_epi8(5));
  m->line = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')) |
            _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r'));
  m->quote = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\''));
  m->slash = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('/'));
  m->wide = _mm512_movepi8_mask(v);
  m->e2 = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\xE2'));
}

#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))

AVX2 INLINE uint32_t equal32(__m256i v, char c) {
  return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

/* Bytes from `first` on, `count` of them. */
AVX2 INLINE uint32_t range32(__m256i v, char first, char count) {
  __m256i from = _mm256_sub_epi8(v, _mm256_set1_epi8(first));
  __m256i over = _mm256_subs_epu8(from, _mm256_set1_epi8((char)(count - 1)));
  return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(over, _mm256_setzero_si256()));
}

AVX2 INLINE void masks_avx2(const char *s, struct masks *m) {
  memset(m, 0, sizeof *m);
  for (int half = 0; half < 2; half++, s += 32) {
    int at = half * 32;
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)s);
    uint32_t blank = equal32(v, ' '), upper = range32(v, 'A', 26);
    m->upper |= (uint64_t)upper << at;
    m->letter |= (uint64_t)(upper | range32(v, 'a', 26)) << at;
    m->number |= (uint64_t)range32(v, '0', 10) << at;
    m->blank |= (uint64_t)blank << at;
    m->space |= (uint64_t)(blank | range32(v, '\t', 5)) << at;
    m->line |= (uint64_t)(equal32(v, '\n') | equal32(v, '\r')) << at;
    m->quote |= (uint64_t)equal32(v, '\'') << at;
    m->slash |= (uint64_t)equal32(v, '/') << at;
    m->wide |= (uint64_t)(uint32_t)_mm256_movemask_epi8(v) << at;
    m->e2 |= (uint64_t)equal32(v, '\xE2') << at;
  }
}

enum scan_masks scan_masks_best(void) { /* asks what the C library found out when it was loaded */
  if (!__builtin_cpu_supports("bmi2")) return SCAN_PLAIN;
  if (__builtin_cpu_supports("avx512bw")) return SCAN_AVX512;
  return __builtin_cpu_supports("avx2") ? SCAN_AVX2 : SCAN_PLAIN;
}
#else
enum scan_masks scan_masks_best(void) {
  return SCAN_PLAIN;
}
#endif

/* ---- bits to words ---- */

#define BIT(i) ((uint64_t)1 << (i))

INLINE unsigned lowest(uint64_t v) {
  return (unsigned)__builtin_ctzll(v);
}

INLINE unsigned highest(uint64_t v) {
  return 63u - (unsigned)__builtin_clzll(v);
}

struct window {
  uint64_t letter, number, space, blank, other; /* within the first `size` bytes */
  unsigned size;
  uint64_t starts, sure; /* bits that begin a word; bits of which that is certain */
};

/* Up to the spaces at the end, whose words depend on what comes behind them. */
INLINE void window_init(struct window *w, const struct masks *m, size_t readable) {
  uint64_t valid = readable < 64 ? BIT(readable) - 1 : ~(uint64_t)0;
  if (m->wide) valid &= BIT(lowest(m->wide)) - 1;
  w->starts = 0;
  w->size = ~valid ? lowest(~valid) : 64; /* valid is one run, from bit 0 */
  w->letter = m->letter & valid;
  w->number = m->number & valid;
  w->space = m->space & valid;
  w->blank = m->blank & valid;
  w->other = valid & ~(m->letter | m->number | m->space);
  uint64_t solid = valid & ~w->space;
  w->sure = solid ? valid & (BIT(highest(solid)) * 4 - 1) : 0;
}

INLINE uint64_t run_starts(uint64_t run) {
  return run & ~(run << 1);
}

/* The length of 's, 't, 're … at i; `unsure` when it ends behind the window. */
static unsigned contraction_at(const struct window *w, const char *s, unsigned i, char fold,
                               bool *unsure) {
  if (i + 1 >= w->size) {
    *unsure = true;
    return 0;
  }
  char c = (char)(s[i + 1] | fold);
  if (c == 's' || c == 't' || c == 'm' || c == 'd') return 2;
  if (c != 'l' && c != 'v' && c != 'r') return 0;
  if (i + 2 >= w->size) {
    *unsure = true;
    return 0;
  }
  return (char)(s[i + 2] | fold) == (c == 'l' ? 'l' : 'e') ? 3 : 0;
}

/* At each of the quotes (words begin there): the letters of a contraction belong to it, and a word
 * begins behind it. */
static void contractions(struct window *w, const char *s, uint64_t quotes, char fold) {
  for (; quotes; quotes &= quotes - 1) {
    unsigned i = lowest(quotes);
    bool unsure = false;
    unsigned taken = contraction_at(w, s, i, fold, &unsure);
    if (unsure) {
      w->sure &= BIT(i) * 2 - 1;
      return;
    }
    if (!taken) continue;
    w->starts &= ~(BIT(i + 1) | BIT(i + taken - 1));
    if (i + taken < 64) w->starts |= BIT(i + taken);
  }
}

INLINE void gpt2_starts(struct window *w, const struct masks *m, const char *s, bool digits) {
  uint64_t others = run_starts(w->other) & ~(w->blank << 1);
  uint64_t words = run_starts(w->letter) | (digits ? 0 : run_starts(w->number));
  uint64_t next = digits ? w->letter | w->other : w->letter | w->other | w->number;
  w->starts = run_starts(w->space) | (w->space & next >> 1) | (words & ~(w->blank << 1)) | others;
  if (digits) w->starts |= w->number;
  contractions(w, s, m->quote & others & w->letter >> 1, 0);
}

/* Spaces of CL100K and O200K. `absorbed`: line ends that belong to the word before them. */
INLINE uint64_t space_starts(const struct window *w, const struct masks *m, uint64_t absorbed) {
  uint64_t flat = w->space & ~m->line, spaces = w->space & ~absorbed;
  uint64_t solid = w->letter | w->number | w->other;
  uint64_t starts = run_starts(spaces) | (flat & solid >> 1);
  uint64_t after = flat & (spaces & m->line)
                              << 1; /* behind a line end: a word, if it is the last */
  for (uint64_t e = after ? flat & m->line >> 1 : 0; e; e &= e - 1) {
    uint64_t outside = ~flat & (BIT(lowest(e)) - 1);
    if (outside) after &= ~(BIT(highest(outside)) << 1);
  }
  return starts | after;
}

/* At each third place of a run of digits. */
INLINE uint64_t number_starts(uint64_t number) {
  uint64_t starts = run_starts(number), whole = number & number << 1;
  whole &= whole << 2;
  for (uint64_t x = starts; (x = x << 3 & whole);) starts |= x;
  return starts;
}

INLINE void cl100k_starts(struct window *w, const struct masks *m, const char *s, bool by_three) {
  uint64_t line = m->line & w->space, first = line & w->other << 1;
  uint64_t absorbed = first ? line & ~(line + first) : 0;
  uint64_t others = run_starts(w->other) & ~(w->blank << 1);
  uint64_t before = (w->space & ~line) | others; /* taken along by letters that follow */
  w->starts = space_starts(w, m, absorbed) | others | (run_starts(w->letter) & ~(before << 1)) |
              (by_three ? number_starts(w->number) : w->number);
  contractions(w, s, m->quote & others & w->letter >> 1, 32);
}

/* 's at the end of a word goes with it. What that ends is no word for the next one. */
static void suffixes(struct window *w, const char *s, uint64_t quotes) {
  unsigned behind = 0;
  for (; quotes; quotes &= quotes - 1) {
    unsigned i = lowest(quotes);
    bool unsure = false;
    if (i == behind) continue;
    unsigned taken = contraction_at(w, s, i, 32, &unsure);
    if (unsure) {
      w->sure &= BIT(i) - 1;
      return;
    }
    if (!taken) continue;
    behind = i + taken;
    w->starts &= ~(BIT(i) | BIT(i + 1) | BIT(i + taken - 1));
    if (behind < 64) w->starts |= BIT(behind);
  }
}

INLINE void o200k_starts(struct window *w, const struct masks *m, const char *s, bool suffix) {
  uint64_t line = m->line & w->space, first = line & w->other << 1;
  uint64_t tail = line | (m->slash & w->other), absorbed = first;
  for (uint64_t x = first; (x = x << 1 & tail & ~absorbed);) absorbed |= x;
  uint64_t other = w->other & ~absorbed, upper = m->upper & w->letter;
  uint64_t others = run_starts(other) & ~(w->blank << 1);
  uint64_t before = (w->space & ~line) | others;
  w->starts = space_starts(w, m, absorbed) | others | (run_starts(w->letter) & ~(before << 1)) |
              (upper & (w->letter & ~upper) << 1) | (suffix ? number_starts(w->number) : w->number);
  if (suffix) suffixes(w, s, m->quote & w->other & w->letter << 1);
}

/* Bytes of more than one in a character are like any other, but U+2581 is a space: a window ends
 * before the first byte that may belong to one. */
INLINE void spaces_starts(struct window *w, const struct masks *m, const char *s, size_t readable,
                          uint64_t starts) {
  w->starts = starts;
  w->sure = readable < 64 ? BIT(readable) - 1 : ~(uint64_t)0;
  for (uint64_t e2 = m->e2 & w->sure; e2; e2 &= e2 - 1) {
    unsigned i = lowest(e2);
    if (i + 1 < readable && i < 63 && s[i + 1] != '\x96') continue;
    w->sure &= BIT(i) - 1;
    break;
  }
}

INLINE void word_starts(enum scan_kind kind, const char *s, size_t readable, const struct masks *m,
                        struct window *w) {
  switch (kind) {
  case SCAN_GPT2:
    gpt2_starts(w, m, s, false);
    break;
  case SCAN_GPT2_DIGITS:
    gpt2_starts(w, m, s, true);
    break;
  case SCAN_CL100K:
  case SCAN_CL100K_TAIL:
    cl100k_starts(w, m, s, true);
    break;
  case SCAN_QWEN2:
    cl100k_starts(w, m, s, false);
    break;
  case SCAN_O200K:
    o200k_starts(w, m, s, true);
    break;
  case SCAN_TEKKEN:
    o200k_starts(w, m, s, false);
    break;
  case SCAN_SPACES:
    spaces_starts(w, m, s, readable, run_starts(m->blank));
    break;
  case SCAN_SPACES_LINES:
    spaces_starts(w, m, s, readable,
                  run_starts(m->blank) | run_starts(m->line) | (~m->line & m->line << 1));
    break;
  case SCAN_EACH_SPACE:
    spaces_starts(w, m, s, readable, m->blank);
    break;
  case SCAN_WHOLE:
    break;
  }
}

/* Eight at a time, whether there are as many or not: how many is hard to foretell. */
INLINE size_t put_ends(uint64_t starts, size_t at, uint32_t *ends) {
  size_t count = (size_t)__builtin_popcountll(starts);
  for (size_t i = 0; i < count; i += 8)
    for (size_t k = i; k < i + 8; k++) {
      ends[k] = (uint32_t)(at + (starts ? lowest(starts) : 0));
      starts &= starts - 1;
    }
  return count;
}

INLINE size_t window(enum scan_kind kind, const char *s, size_t n, size_t at, uint32_t *ends,
                     void (*masks)(const char *s, struct masks *m)) {
  char last[SCAN_WINDOW];
  struct masks m;
  struct window w;
  size_t readable = n - at;
  s += at;
  if (readable < SCAN_WINDOW) {
    memset(last, 0, sizeof last);
    memcpy(last, s, readable);
    s = last;
  }
  masks(s, &m);
  window_init(&w, &m, readable);
  word_starts(kind, s, readable, &m, &w);
  return put_ends(w.starts & w.sure & ~(uint64_t)1, at, ends);
}

#if defined(__x86_64__)
AVX512 static size_t window_avx512(enum scan_kind kind, const char *s, size_t n, size_t at,
                                   uint32_t *ends) {
  return window(kind, s, n, at, ends, masks_avx512);
}

AVX2 static size_t window_avx2(enum scan_kind kind, const char *s, size_t n, size_t at,
                               uint32_t *ends) {
  return window(kind, s, n, at, ends, masks_avx2);
}

size_t scan_window(enum scan_masks how, enum scan_kind kind, const char *s, size_t n, size_t at,
                   uint32_t *ends) {
  if (kind == SCAN_WHOLE || how == SCAN_PLAIN) return 0;
  return how == SCAN_AVX512 ? window_avx512(kind, s, n, at, ends)
                            : window_avx2(kind, s, n, at, ends);
}
#else
size_t scan_window(enum scan_masks how, enum scan_kind kind, const char *s, size_t n, size_t at,
                   uint32_t *ends) {
  (void)how, (void)kind, (void)s, (void)n, (void)at, (void)ends;
  return 0;
}
#endif
