/* SPDX-License-Identifier: MIT */
/* Chunkers: options, what is given out, and the native recursive and token chunkers; see chunk.h.
 *
 * The recursive chunker does not make pieces and merge them. From where a chunk begins it jumps to
 * the last place that the size still reaches, looks back from there for the last separator, and cuts:
 *
 *   a                                  e ◄──── reach(a, size)
 *   ▼                                  ▼       ▼
 *   [chunk ······················ word] [word ·│··· next piece: does it fit at all?
 *                          ▲
 *                          next a: the first separator that the overlap reaches back to from e
 *
 * So a word costs something only at the borders of chunks. Which separator is used in a stretch is
 * found by looking for each in turn, which is what the C library does fastest. A piece that is longer
 * than the size is cut by the separators behind; the recursion goes over separators, never over the
 * text. The pieces are those that merging would give (LangChain's way), but for one that has exactly
 * the size, which may stay whole here.
 */
#include "text/chunk.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/chunk_parts.h"

#include <string.h>

#define POLL_CHUNKS 4096

static const struct chunk_separator default_separators[] = {
    {"\n\n", 2, NULL}, {"\r\n\r\n", 4, NULL}, {"\n", 1, NULL}, {" ", 1, NULL}, {"", 0, NULL}};
#define DEFAULT_COUNT (sizeof default_separators / sizeof *default_separators)

void chunk_defaults(struct chunk_options *o) {
  *o = (struct chunk_options){.size = 2000,
                              .overlap = 200,
                              .separators = default_separators,
                              .separator_count = DEFAULT_COUNT,
                              .keep = CHUNK_KEEP_START,
                              .strip = true,
                              .levels = 6};
}

void chunks_reset(struct chunks *c) {
  c->n = c->heading_count = 0;
  buf_reset(&c->text);
}

void chunks_clear(struct chunks *c) {
  mem_free(c->v);
  mem_free(c->headings);
  buf_clear(&c->text);
  *c = (struct chunks){0};
}

void chunk_work_clear(struct chunk_work *w) {
  mem_free(w->ring);
  mem_free(w->blocks);
  mem_free(w->borders);
  *w = (struct chunk_work){0};
}

int chunk_add(struct chunks *c, size_t start, size_t end, struct err *err) {
  if (c->n == c->cap) {
    size_t cap = c->cap ? c->cap * 2 : 16;
    struct chunk *v = mem_rearray(c->v, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "chunks");
    c->v = v;
    c->cap = cap;
  }
  c->v[c->n++] = (struct chunk){start, end, CHUNK_SPAN, 0};
  return 0;
}

int chunk_poll(struct chunk_job *j) {
  return ++j->polled % POLL_CHUNKS ? 0 : cancel_check(j->err);
}

/* ---- white space ---- */

bool chunk_space(uint32_t c, enum chunk_mode mode) {
  if (c < 0x80)
    return c == ' ' || (c >= 9 && c <= 13) || (mode != CHUNK_JAVASCRIPT && c >= 0x1c && c <= 0x1f);
  if (c == 0x85) return mode != CHUNK_JAVASCRIPT;
  if (c == 0xfeff) return mode == CHUNK_JAVASCRIPT;
  return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

static size_t strip_front(const char *s, size_t start, size_t end, enum chunk_mode mode,
                          struct chunk_stretch *known) {
  size_t used, at = start;
  while (at < end) {
    if (at >= known->from && at < known->to)
      at = known->to;
    else if (chunk_space(utf8_decode(s + at, end - at, &used), mode))
      at += used;
    else
      break;
  }
  if (at > start) *known = (struct chunk_stretch){start, at};
  return at < end ? at : end;
}

static size_t strip_back(const char *s, size_t start, size_t end, enum chunk_mode mode,
                         struct chunk_stretch *known) {
  size_t used, at = end;
  while (at > start) {
    if (at > known->from && at <= known->to) {
      at = known->from;
      continue;
    }
    size_t i = at - 1;
    while (i > start && at - i < 4 && ((unsigned char)s[i] & 0xc0) == 0x80) i--;
    if (!chunk_space(utf8_decode(s + i, at - i, &used), mode) || used != at - i) break;
    at = i;
  }
  if (at < end) *known = (struct chunk_stretch){at, end};
  return at > start ? at : start;
}

void chunk_strip(const char *s, size_t *start, size_t *end, enum chunk_mode mode,
                 struct chunk_stretch known[2]) {
  *start = strip_front(s, *start, *end, mode, &known[0]);
  *end = strip_back(s, *start, *end, mode, &known[1]);
}

/* Back to the beginning of the line, where only spaces lie before `at`: indentation says something. */
static size_t line_start(const char *s, size_t start, size_t at) {
  size_t i = at;
  while (i > start && (s[i - 1] == ' ' || s[i - 1] == '\t')) i--;
  return i == 0 || s[i - 1] == '\n' ? i : at;
}

int chunk_give(struct chunk_job *j, size_t start, size_t end) {
  int rc = chunk_poll(j);
  size_t from = start;
  if (!rc && j->o->strip) chunk_strip(j->s, &start, &end, j->o->mode, j->known);
  if (start > from && start < end && (j->o->method == CHUNK_CODE || j->o->method == CHUNK_MARKDOWN))
    start = line_start(j->s, from, start);
  return rc || start >= end ? rc : chunk_add(j->out, start, end, j->err);
}

/* ---- clusters ---- */

/* Characters that belong to the one before: marks of the common scripts, joiners, variation
 * selectors, skin colours. */
static bool extends(uint32_t c) {
  static const uint32_t ranges[][2] = {
      {0x300, 0x36f},     {0x483, 0x489},     {0x591, 0x5bd},     {0x5bf, 0x5bf},
      {0x5c1, 0x5c2},     {0x5c4, 0x5c7},     {0x610, 0x61a},     {0x64b, 0x65f},
      {0x670, 0x670},     {0x6d6, 0x6dc},     {0x6df, 0x6e8},     {0x6ea, 0x6ed},
      {0x711, 0x711},     {0x730, 0x74a},     {0x7a6, 0x7b0},     {0x816, 0x82d},
      {0x8d3, 0x903},     {0x93a, 0x93c},     {0x93e, 0x94f},     {0x951, 0x957},
      {0x962, 0x963},     {0x981, 0x983},     {0x9bc, 0x9cd},     {0xa01, 0xa03},
      {0xa3c, 0xa4d},     {0xa70, 0xa71},     {0xa81, 0xa83},     {0xabc, 0xacd},
      {0xb01, 0xb03},     {0xb3c, 0xb4d},     {0xb82, 0xb82},     {0xbbe, 0xbcd},
      {0xc00, 0xc04},     {0xc3e, 0xc4d},     {0xc81, 0xc83},     {0xcbc, 0xccd},
      {0xd00, 0xd03},     {0xd3b, 0xd4d},     {0xdca, 0xddf},     {0xe31, 0xe31},
      {0xe34, 0xe3a},     {0xe47, 0xe4e},     {0xeb1, 0xeb1},     {0xeb4, 0xebc},
      {0xec8, 0xecd},     {0xf18, 0xf19},     {0xf35, 0xf39},     {0xf71, 0xf84},
      {0xf86, 0xfbc},     {0x102b, 0x103e},   {0x1056, 0x1059},   {0x135d, 0x135f},
      {0x1712, 0x1714},   {0x17b4, 0x17d3},   {0x180b, 0x180d},   {0x1920, 0x193b},
      {0x1ab0, 0x1aff},   {0x1b00, 0x1b04},   {0x1dc0, 0x1dff},   {0x200c, 0x200d},
      {0x20d0, 0x20f0},   {0x302a, 0x302f},   {0x3099, 0x309a},   {0xa66f, 0xa67d},
      {0xa8e0, 0xa8f1},   {0xfb1e, 0xfb1e},   {0xfe00, 0xfe0f},   {0xfe20, 0xfe2f},
      {0x1f3fb, 0x1f3ff}, {0xe0020, 0xe007f}, {0xe0100, 0xe01ef},
  };
  size_t low = 0, high = sizeof ranges / sizeof *ranges;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (c < ranges[middle][0])
      high = middle;
    else if (c > ranges[middle][1])
      low = middle + 1;
    else
      return true;
  }
  return false;
}

static size_t previous(const char *s, size_t at) {
  size_t i = at - 1;
  while (i > 0 && at - i < 4 && ((unsigned char)s[i] & 0xc0) == 0x80) i--;
  return i;
}

static bool flag_letter(uint32_t c) {
  return c >= 0x1f1e6 && c <= 0x1f1ff;
}

/* Between two letters of a flag: an odd number of them before `at`, of the last 64. */
static bool inside_flag(const char *s, size_t at) {
  size_t used, count = 0;
  while (count < 64 && at >= 4 && flag_letter(utf8_decode(s + at - 4, 4, &used))) at -= 4, count++;
  return count % 2;
}

bool chunk_cluster_inside(const char *s, size_t n, size_t at) {
  if (at == 0 || at >= n) return false;
  unsigned char here = (unsigned char)s[at];
  if (here < 0x80) return here == '\n' && s[at - 1] == '\r';
  size_t used, used_before;
  uint32_t c = utf8_decode(s + at, n - at, &used);
  if (extends(c)) return s[at - 1] != '\n';
  size_t p = previous(s, at);
  uint32_t b = utf8_decode(s + p, at - p, &used_before);
  if (b == 0x200d && c >= 0x2190) return true; /* emoji joined */
  if (flag_letter(c) && flag_letter(b)) return inside_flag(s, at);
  if (c >= 0x1160 && c <= 0x11ff) return b >= 0x1100 && b <= 0x11ff; /* Hangul letters */
  return false;
}

/* The next border of a character behind `at`. */
static size_t next_character(const char *s, size_t to, size_t at) {
  do at++;
  while (at < to && ((unsigned char)s[at] & 0xc0) == 0x80);
  return at < to ? at : to;
}

/* The end of the cluster that begins at `at`, or of as many of its characters as the size has
 * room for, at least one. */
static size_t cluster_end(const struct chunk_job *j, size_t at, size_t to) {
  size_t e = next_character(j->s, to, at);
  for (size_t k = 0; k < j->o->size && e < to && chunk_cluster_inside(j->s, to, e); k++)
    e = next_character(j->s, to, e);
  return e;
}

/* The last place ≤ reach where [a, …) may end: between clusters, else between characters. */
static size_t hard_end(const struct chunk_job *j, size_t a, size_t to) {
  size_t reach = chunk_index_reach(&j->x, a, j->o->size), e;
  if (reach >= to) return to;
  if (reach <= a) return next_character(j->s, to, a);
  for (e = reach; e > a && chunk_cluster_inside(j->s, to, e);) e = previous(j->s, e);
  return e > a ? e : reach;
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* Nothing to cut at: as many clusters as fit. */
static int split_hard(struct chunk_job *j, size_t a, size_t to) {
  for (int rc;;) {
    size_t e = hard_end(j, a, to);
    if ((rc = chunk_give(j, a, e)) || e >= to) return rc;
    if (!j->o->overlap) {
      a = e;
      continue;
    }
    size_t next = cluster_end(j, e, to);
    size_t x = larger(chunk_index_back(&j->x, e, j->o->overlap),
                      chunk_index_back(&j->x, next, j->o->size));
    if (x <= a) x = next_character(j->s, to, a);
    while (x < e && chunk_cluster_inside(j->s, to, x)) x = next_character(j->s, to, x);
    a = x < e ? x : e;
  }
}

/* ---- separators ---- */

#define NONE CHUNK_NONE

/* Of a run of one character ("\n\n" in "\n\n\n") only the first place counts. */
static bool begins_run(const struct chunk_separator *sep, const char *s, size_t from, size_t m) {
  if (sep->n < 2 || m == from || s[m - 1] != sep->s[0]) return true;
  for (size_t i = 1; i < sep->n; i++)
    if (sep->s[i] != sep->s[0]) return true;
  return false;
}

/* The first match at or behind `at` that ends by `to`. `from`: where the stretch begins. */
static size_t first_match(const struct chunk_separator *sep, const char *s, size_t from, size_t at,
                          size_t to) {
  size_t m = chunk_find_first(sep, s, at, to);
  while (m != NONE && !begins_run(sep, s, from, m)) m = chunk_find_first(sep, s, m + 1, to);
  return m;
}

/* The last match in [low, high], ends by `to`. */
static size_t last_match(const struct chunk_separator *sep, const char *s, size_t from, size_t low,
                         size_t high, size_t to) {
  size_t m = chunk_find_last(sep, s, low, high, to);
  while (m != NONE && !begins_run(sep, s, from, m))
    m = m > low ? chunk_find_last(sep, s, low, m - 1, to) : NONE;
  return m;
}

/* One stretch and the separator it is cut at. A match m ends a piece at left(m), and the next one
 * begins at right(m); a line feed's carriage return belongs to it. */
struct cutting {
  const struct chunk_separator *sep;
  const char *s;
  size_t from, to, left, right; /* what is added to m */
};

static size_t with_return(const struct cutting *c, size_t m) {
  return c->sep->s[0] == '\n' && m > c->from && c->s[m - 1] == '\r' ? m - 1 : m;
}

static size_t left_of(const struct cutting *c, size_t m) {
  if (m == NONE) return c->to;
  return c->left ? m + c->left : with_return(c, m);
}

static size_t right_of(const struct cutting *c, size_t m) {
  if (m == NONE) return c->to;
  return c->right ? m + c->right : with_return(c, m);
}

/* The first match behind which a piece begins at `right` or later. */
static size_t next_match(const struct cutting *c, size_t right) {
  size_t at = right > c->right ? right - c->right : 0;
  size_t m = first_match(c->sep, c->s, c->from, larger(at, c->from), c->to);
  while (m != NONE && right_of(c, m) < right) m = first_match(c->sep, c->s, c->from, m + 1, c->to);
  return m;
}

/* The last one that ends a piece begun at a by `reach`. */
static size_t match_before(const struct cutting *c, size_t a, size_t reach) {
  size_t low = a + 1 > c->right ? a + 1 - c->right : 0;
  if (reach < c->left) return NONE;
  size_t m = last_match(c->sep, c->s, c->from, larger(low, c->from), reach - c->left, c->to);
  return m != NONE && right_of(c, m) > a ? m : NONE;
}

static int split(struct chunk_job *j, size_t from, size_t to, const struct chunk_separator *list,
                 size_t count);

/* Where the chunk behind the cut m begins: as far back as the overlap reaches, if the piece behind
 * m, which ends at `end`, fits as well. */
static size_t overlap_from(const struct chunk_job *j, const struct cutting *c, size_t a, size_t m,
                           size_t end) {
  size_t right = right_of(c, m);
  if (!j->o->overlap) return right;
  size_t x = larger(chunk_index_back(&j->x, left_of(c, m), j->o->overlap),
                    chunk_index_back(&j->x, end, j->o->size));
  size_t found = right_of(c, next_match(c, larger(x, a + 1)));
  return found < right ? found : right;
}

static int split_at(struct chunk_job *j, struct cutting c, const struct chunk_separator *rest,
                    size_t rest_count) {
  int rc = 0;
  for (size_t a = c.from; a < c.to && !rc;) {
    size_t reach = chunk_index_reach(&j->x, a, j->o->size);
    if (reach >= c.to) return chunk_give(j, a, c.to);
    size_t m = match_before(&c, a, reach);
    if (m == NONE) { /* the first piece alone is too long */
      size_t next = next_match(&c, a + 1);
      rc = split(j, a, left_of(&c, next), rest, rest_count);
      a = right_of(&c, next);
      continue;
    }
    rc = chunk_give(j, a, left_of(&c, m));
    size_t right = right_of(&c, m), next = next_match(&c, right + 1), end = left_of(&c, next);
    if (rc || chunk_index_length(&j->x, right, end) <= j->o->size) {
      a = overlap_from(j, &c, a, m, end);
      continue;
    }
    rc = split(j, right, end, rest, rest_count);
    a = right_of(&c, next);
  }
  return rc;
}

/* Cuts [from, to) at the first separator of the list that cuts it. */
static int split(struct chunk_job *j, size_t from, size_t to, const struct chunk_separator *list,
                 size_t count) {
  enum chunk_keep keep = j->o->keep;
  if (from >= to) return 0;
  if (chunk_index_reach(&j->x, from, j->o->size) >= to) return chunk_give(j, from, to);
  for (size_t i = 0; i < count && list[i].n; i++) {
    struct cutting c = {&list[i], j->s, from, to, 0, 0};
    if (keep != CHUNK_KEEP_START) c.right = list[i].n;
    if (keep == CHUNK_KEEP_END) c.left = list[i].n;
    size_t m = next_match(&c, from + 1);
    if (m != NONE && (keep == CHUNK_DROP || right_of(&c, m) < to))
      return split_at(j, c, list + i + 1, count - i - 1);
  }
  return split_hard(j, from, to);
}

int chunk_plain(struct chunk_job *j, size_t from, size_t to) {
  const size_t lines = 2; /* paragraphs are what the caller has seen to */
  return split(j, from, to, default_separators + lines, DEFAULT_COUNT - lines);
}

static int recursive(struct chunk_job *j) {
  const struct chunk_options *o = j->o;
  if (o->method == CHUNK_RECURSIVE) return split(j, 0, j->n, o->separators, o->separator_count);
  struct chunk_separator list[4] = {o->separators[0]};
  memcpy(list + 1, default_separators + 2, 3 * sizeof *list);
  return split(j, 0, j->n, list, 4);
}

/* ---- windows ---- */

static int windows(struct chunk_job *j) {
  const struct chunk_options *o = j->o;
  if (o->unit != CHUNK_TOKENS) return split_hard(j, 0, j->n);
  const struct chunk_token *t = j->x.tokens;
  size_t count = j->x.token_count;
  for (size_t i = 0; i < count; i += o->size - o->overlap) {
    size_t left = count - i, end = i + (left < o->size ? left : o->size);
    size_t a = utf8_floor(j->s, j->n, t[i].start), b = utf8_floor(j->s, j->n, t[end - 1].end);
    int rc = chunk_poll(j);
    if (!rc && a < b) rc = chunk_add(j->out, a, b, j->err);
    if (rc || end == count) return rc;
  }
  return 0;
}

/* ---- all ---- */

static int misuse(struct err *err, const char *what) {
  return err_set(err, ERR_MISUSE, "%s", what);
}

int chunk_check(const struct chunk_options *o, struct err *err) {
  bool exact = o->mode != CHUNK_NATIVE, equal = o->mode == CHUNK_PYTHON;
  bool separators = o->method == CHUNK_RECURSIVE || o->method == CHUNK_CHARACTER;
  if (o->size < 1) return misuse(err, "a chunk's size must be at least 1");
  if (o->overlap > o->size || (!equal && o->overlap == o->size))
    return err_set(err, ERR_MISUSE, "the overlap (%zu) must be smaller than the size (%zu)",
                   o->overlap, o->size);
  if (exact && !separators)
    return misuse(err, "LangChain's modes cut by recursive or character only");
  if (!exact && o->unit == CHUNK_UTF16) return misuse(err, "UTF-16 units belong to the mode js");
  if (separators &&
      (!o->separators || o->separator_count < 1 || o->separator_count > CHUNK_SEPARATORS_MAX))
    return err_set(err, ERR_MISUSE, "1 to %d separators expected, got %zu", CHUNK_SEPARATORS_MAX,
                   o->separators ? o->separator_count : 0);
  for (size_t i = 0; separators && o->mode != CHUNK_PYTHON && i < o->separator_count; i++)
    if (o->separators[i].regex) return misuse(err, "regular expressions belong to the mode python");
  return 0;
}

int chunk_text(const struct chunk_options *o, struct chunk_work *w, const char *s, size_t n,
               const struct chunk_token *tokens, size_t token_count, struct chunks *out,
               struct err *err) {
  struct chunk_job j = {.s = s, .n = n, .o = o, .w = w, .out = out, .err = err};
  int rc = chunk_check(o, err);
  if (rc || !n) return rc;
  if (o->mode != CHUNK_NATIVE) return chunk_exact(o, w, s, n, out, err);
  rc = chunk_index_make(&j.x, o->unit, w, s, n, tokens, token_count, err);
  if (rc) return rc;
  switch (o->method) {
  case CHUNK_WINDOWS:
    return windows(&j);
  case CHUNK_SENTENCE:
    return chunk_sentences(&j);
  case CHUNK_MARKDOWN:
    return chunk_markdown(&j);
  case CHUNK_CODE:
    return chunk_code(&j);
  default:
    return recursive(&j);
  }
}
