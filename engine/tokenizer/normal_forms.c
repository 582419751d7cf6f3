/* SPDX-License-Identifier: MIT */
/* The four normal forms (Unicode Standard Annex 15), over the reference's tables.
 *
 * Nearly all text is in its form already, so the text is cut into what surely stays and small
 * neighbourhoods that are looked at:
 *
 *   The quick e◌́clair, sa◌̣◌̂p …
 *   copied────┤├┤copied──┤├──┤copied      a neighbourhood begins at the last character that touches
 *                                        nothing before it, and ends before the next such one
 *
 *   scan    skips bytes below U+0300 sixteen at a time, blocks of untouched characters by a bit
 *   region  decomposes, orders (stable, in linear time), composes, and writes one neighbourhood
 *
 * Where a character of a neighbourhood came from is counted as the reference counts it: each
 * character written says how many characters read it takes, and stands for the first of them; one
 * that takes none stands for the same as the one before it. So é made of two stands for the e.
 *
 * Malformed bytes are characters that nothing joins.
 */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/normal.h"

static bool composes(enum normal_form form) {
  return form == FORM_NFC || form == FORM_NFKC;
}
static bool compatible(enum normal_form form) {
  return form >= FORM_NFKC;
}

/* Flags of characters that do not simply stay, and of those that touch what stands before them. */
static uint32_t touched(enum normal_form form) {
  static const uint32_t of[] = {NORMAL_NFC | NORMAL_SECOND, NORMAL_CANONICAL,
                                NORMAL_NFKC | NORMAL_SECOND, NORMAL_COMPATIBLE};
  return of[form];
}
static uint32_t tail(enum normal_form form) {
  return compatible(form) ? NORMAL_TAIL_K : NORMAL_TAIL_C;
}

/* ---- looking for the first neighbourhood ---- */

struct scan {
  enum normal_form form;
  const char *s;
  size_t n, at;
  size_t dirty;   /* the first character that may change; n: none */
  size_t begin;   /* where its neighbourhood begins */
  size_t starter; /* the last character of class 0 before it; its class, and of its last mark */
  size_t tail_end;
  uint32_t last;
};

/* The end of the bytes at and after `at` that are below `limit`, sixteen at a time and more. */
static size_t skip_low(const char *s, size_t n, size_t at, unsigned limit) {
#ifdef __SSE2__
  const __m128i bound = _mm_set1_epi8((char)limit);
  while (n - at >= 16) {
    __m128i v = _mm_loadu_si128((const void *)(s + at));
    unsigned high = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(v, bound), v));
    if (high) return at + (unsigned)__builtin_ctz(high);
    for (at += 16; n - at >= 64; at += 64) {
      const __m128i *p = (const void *)(s + at);
      __m128i a = _mm_max_epu8(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
      __m128i b = _mm_max_epu8(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));
      a = _mm_max_epu8(a, b);
      if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(a, bound), a))) break;
    }
  }
#else
  for (uint64_t word; n - at >= 8; at += 8) {
    memcpy(&word, s + at, 8);
    if (word & 0x8080808080808080u) break;
  }
#endif
  while (at < n && (unsigned char)s[at] < limit) at++;
  return at;
}

/* Bytes of the character at s when its block is untouched in this form; else 0. Overlong forms and
 * surrogates may pass: they stay as well. */
static size_t skip_block(const unsigned char *s, size_t n, unsigned bit) {
  if (s[0] < 0xE0) {
    if (s[0] < 0xC2 || n < 2 || (s[1] & 0xC0) != 0x80) return 0;
    return normal_clean[normal_index[(s[0] & 31) >> 1]] & bit ? 2 : 0;
  }
  if (s[0] < 0xF0) {
    if (n < 3 || (s[1] & 0xC0) != 0x80 || (s[2] & 0xC0) != 0x80) return 0;
    return normal_clean[normal_index[(s[0] & 15u) << 5 | (s[1] & 63u) >> 1]] & bit ? 3 : 0;
  }
  return 0;
}

static uint32_t record_at(const char *s, size_t n, size_t *used) {
  uint32_t c = utf8_decode(s, n, used);
  return c == UTF8_BAD ? 0 : normal_of(c);
}

/* Whether the mark (or joining character) with record r may change; the starter is known. */
static bool mark_changes(const struct scan *z, uint32_t r) {
  uint32_t class = r & NORMAL_CLASS;
  size_t used;
  if (r & touched(z->form) & ~(uint32_t)NORMAL_SECOND) return true;
  if (class && z->last > class) return true;
  if (!(r & NORMAL_SECOND) || !composes(z->form) || z->starter == z->n) return false;
  if (!class && z->last) return false; /* a mark stands between */
  uint32_t first = record_at(z->s + z->starter, z->n - z->starter, &used);
  return first & (class ? NORMAL_FIRST | NORMAL_CANONICAL : NORMAL_FIRST);
}

/* A character that touches what stands before it, at z->at, with `used` bytes. */
static bool scan_tail(struct scan *z, uint32_t r, size_t used, size_t lo) {
  if (z->tail_end != z->at) { /* what stands before is no tail, or malformed */
    z->begin = z->at > lo ? step_back(z->s, lo, z->at) : z->at;
    z->starter = z->at > lo ? z->begin : z->n;
    z->last = 0;
  }
  if (mark_changes(z, r)) return true;
  z->last = r & NORMAL_CLASS;
  if (!z->last) z->starter = z->at;
  z->tail_end = z->at + used;
  return false;
}

/* From z->at, where a neighbourhood may begin, to the first that may change. */
static void scan_run(struct scan *z) {
  const uint32_t bad = touched(z->form), behind = tail(z->form);
  /* Nothing below U+0300 changes under NFC, however its bytes may be cut. */
  const unsigned bit = 1u << z->form, limit = z->form == FORM_NFC ? 0xCC : 0x80;
  const size_t lo = z->at, n = z->n;
  const unsigned char *s = (const unsigned char *)z->s;
  z->tail_end = SIZE_MAX;
  size_t at = lo;
  while (at < n) {
    if (s[at] < limit && (at = skip_low(z->s, n, at, limit)) == n) break;
    size_t used = skip_block(s + at, n - at, bit);
    if (used) {
      at += used;
      continue;
    }
    uint32_t r = record_at(z->s + at, n - at, &used);
    if (r & (bad | behind)) {
      z->at = at;
      if (r & behind ? scan_tail(z, r, used, lo) : (z->begin = at, true)) {
        z->dirty = at;
        return;
      }
    }
    at += used;
  }
  z->dirty = n;
}

bool form_keeps(enum normal_form form, const char *s, size_t n) {
  struct scan z = {.form = form, .s = s, .n = n};
  scan_run(&z);
  return z.dirty == n;
}

/* ---- one neighbourhood ---- */

struct item {
  uint32_t c; /* a malformed byte: RAW + byte */
  uint8_t class;
  int32_t takes; /* characters read that it takes: 1, more when joined, 0 when put in beside one */
};
#define RAW 0x110000u

struct region {
  struct item *items, *spare; /* spare: as many */
  size_t count, cap;
  struct item small[2][32];
};

static void region_clear(struct region *r) {
  if (r->items == r->small[0]) return;
  mem_free(r->items);
  mem_free(r->spare);
}

static bool region_grow(struct region *r) {
  size_t cap = r->cap * 2;
  struct item *a = mem_array(cap, sizeof *a), *b = mem_array(cap, sizeof *b);
  if (!a || !b) {
    mem_free(a);
    mem_free(b);
    return false;
  }
  memcpy(a, r->items, r->count * sizeof *a);
  region_clear(r);
  r->items = a;
  r->spare = b;
  r->cap = cap;
  return true;
}

static bool region_add(struct region *r, uint32_t c, unsigned class, int takes) {
  if (r->count == r->cap && !region_grow(r)) return false;
  r->items[r->count++] = (struct item){c, (uint8_t) class, takes};
  return true;
}

static bool add_hangul(struct region *r, uint32_t c) {
  uint32_t i = c - HANGUL_BASE, t = i % 28;
  return region_add(r, HANGUL_L + i / 588, 0, 1) && region_add(r, HANGUL_V + i % 588 / 28, 0, 0) &&
         (!t || region_add(r, HANGUL_T + t, 0, 0));
}

static bool add_decomposed(struct region *r, uint32_t c, bool compat) {
  if (c - HANGUL_BASE < HANGUL_COUNT) return add_hangul(r, c);
  size_t n, used;
  const char *s = normal_decompose(c, compat, &n);
  for (size_t at = 0; at < n; at += used) {
    uint32_t d = utf8_decode(s + at, n - at, &used);
    if (!region_add(r, d, normal_of(d) & NORMAL_CLASS, at == 0)) return false;
  }
  return true;
}

/* Decomposes the neighbourhood that begins at `from` and reaches beyond `dirty`; returns its end. */
static bool region_read(struct region *r, enum normal_form form, const struct step_io *io,
                        size_t from, size_t dirty, size_t *end) {
  uint32_t change = compatible(form) ? NORMAL_COMPATIBLE : NORMAL_CANONICAL;
  size_t at = from, used;
  r->count = 0;
  for (; at < io->n; at += used) {
    uint32_t c = utf8_decode(io->s + at, io->n - at, &used);
    if (c == UTF8_BAD) { /* byte by byte */
      if (at > dirty) break;
      used = 1;
      if (!region_add(r, RAW + (unsigned char)io->s[at], 0, 1)) return false;
      continue;
    }
    uint32_t k = normal_of(c);
    if (at > dirty && !(k & tail(form))) break;
    if (k & change ? !add_decomposed(r, c, compatible(form))
                   : !region_add(r, c, k & NORMAL_CLASS, 1))
      return false;
  }
  *end = at;
  return true;
}

/* Sorts a run of marks by class: short ones by insertion, long ones by counting. */
static void sort_marks(struct item *a, size_t n, struct item *spare) {
  if (n <= 16) {
    for (size_t i = 1; i < n; i++) {
      struct item x = a[i];
      size_t j = i;
      for (; j && a[j - 1].class > x.class; j--) a[j] = a[j - 1];
      a[j] = x;
    }
    return;
  }
  size_t at[NORMAL_CLASS + 1] = {0}, sum = 0;
  for (size_t i = 0; i < n; i++) at[a[i].class]++;
  for (size_t k = 0; k <= NORMAL_CLASS; k++) {
    size_t count = at[k];
    at[k] = sum;
    sum += count;
  }
  for (size_t i = 0; i < n; i++) spare[at[a[i].class]++] = a[i];
  memcpy(a, spare, n * sizeof *a);
}

static void region_order(struct region *r) {
  for (size_t i = 0, j; i < r->count; i = j) {
    for (j = i; j < r->count && r->items[j].class; j++) {
    }
    if (j - i > 1) sort_marks(r->items + i, j - i, r->spare);
    if (j == i) j++;
  }
}

/* Joins each character with the last starter unless one of its class or above lies between. */
static void region_compose(struct region *r) {
  struct item *a = r->items, *starter = NULL;
  size_t kept = 0;
  unsigned last = 0;
  bool between = false; /* marks that stayed */
  for (size_t i = 0; i < r->count; i++) {
    struct item x = a[i];
    bool blocked = between && last >= x.class;
    uint32_t joined = starter && !blocked ? normal_compose(starter->c, x.c) : 0;
    if (joined) {
      starter->c = joined;
      starter->takes += x.takes;
      continue;
    }
    a[kept] = x;
    if (!x.class) {
      starter = a + kept;
      between = false;
    } else {
      between = starter != NULL;
      last = x.class;
    }
    kept++;
  }
  r->count = kept;
}

static size_t char_bytes(const struct step_io *io, size_t at) {
  size_t used;
  if (at >= io->n) return 0;
  return utf8_decode(io->s + at, io->n - at, &used) == UTF8_BAD ? 1 : used;
}

static void region_write(const struct region *r, struct step_io *io, size_t from) {
  size_t at = from, before = from; /* the next character read; the one taken last */
  for (size_t i = 0; i < r->count; i++) {
    const struct item *x = r->items + i;
    char bytes[4] = {(char)(x->c - RAW)};
    size_t n = x->c >= RAW ? 1 : utf8_encode(x->c, bytes);
    if (x->takes <= 0) {
      step_put(io, bytes, n, before, at);
      continue;
    }
    size_t used = char_bytes(io, at);
    if (x->takes == 1 && used == n && !memcmp(bytes, io->s + at, n))
      step_keep(io, at, n);
    else
      step_put(io, bytes, n, at, at + used);
    for (int k = 0; k < x->takes; k++) {
      before = at;
      at += char_bytes(io, at);
    }
  }
}

/* Whether nothing after [at, at + used) touches it. */
static bool ends_there(enum normal_form form, const struct step_io *io, size_t at) {
  size_t used;
  return at >= io->n || !(record_at(io->s + at, io->n - at, &used) & tail(form));
}

/* The common neighbourhood: one character that touches nothing and that nothing touches. Writes it
 * when its decomposition is all there is to do; returns its end, or 0. */
static size_t write_single(enum normal_form form, struct step_io *io, size_t at) {
  size_t used, n;
  uint32_t c = utf8_decode(io->s + at, io->n - at, &used), i = c - HANGUL_BASE;
  size_t end = at + used;
  if (!ends_there(form, io, end)) return 0;
  if (i < HANGUL_COUNT) {
    if (composes(form)) return 0;
    step_put_char(io, HANGUL_L + i / 588, at, end);
    step_put_char(io, HANGUL_V + i % 588 / 28, at, end);
    if (i % 28) step_put_char(io, HANGUL_T + i % 28, at, end);
    return end;
  }
  const char *s = normal_decompose(c, compatible(form), &n);
  if (composes(form) && (utf8_decode(s, n, &used) == UTF8_BAD || used < n)) return 0;
  step_put(io, s, n, at, end);
  return end;
}

int form_run(enum normal_form form, struct step_io *io, struct err *err) {
  struct region r = {.cap = 32};
  struct scan z = {.form = form, .s = io->s, .n = io->n};
  int rc = 0;
  size_t polled = 0;
  r.items = r.small[0];
  r.spare = r.small[1];
  while (z.at < z.n) {
    size_t from = z.at, end;
    if (z.at - polled > TOKENIZER_POLL) {
      if ((rc = cancel_check(err))) break;
      polled = z.at;
    }
    scan_run(&z);
    if (z.dirty == z.n) z.begin = z.n;
    step_keep(io, from, z.begin - from);
    if (z.dirty == z.n) break;
    if (z.begin == z.dirty && (end = write_single(form, io, z.dirty))) {
      z.at = end;
      continue;
    }
    if (!region_read(&r, form, io, z.begin, z.dirty, &end)) {
      rc = err_nomem(err, r.cap * 2 * sizeof *r.items, "a run of combining marks");
      break;
    }
    region_order(&r);
    if (composes(form)) region_compose(&r);
    region_write(&r, io, z.begin);
    z.at = end;
  }
  region_clear(&r);
  return rc ? rc : buf_check(&io->out->text, "the normalized text", err);
}
