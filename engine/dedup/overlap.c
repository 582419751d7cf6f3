/* SPDX-License-Identifier: MIT */
/* Runs of words in common; see overlap.h.
 *
 * Looking up: the top bits of a hash choose a bucket of some four entries of the sorted list.
 *
 *   hash ── top bits ──► first[b] … first[b + 1]  ──►  hashes, rows
 */
#include "dedup/overlap.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "dedup/member.h"
#include "dedup/shingle.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define PASSAGE 300
#define WHOLE   UINT64_C(0x77686f6c65) /* a seed: whole rows are apart from runs */

struct run {
  uint64_t hash;
  uint32_t row;
};

struct overlap {
  struct shingle_table *table;
  unsigned words;
  size_t room;
  struct run *runs; /* while adding */
  size_t n, cap;
  uint64_t *hashes; /* sealed: n of each */
  uint32_t *rows;
  uint32_t *first; /* 2^bits + 1 */
  unsigned bits;
};

int overlap_new(struct overlap **out, unsigned n, size_t memory, struct err *err) {
  *out = NULL;
  if (n < 1 || n > SHINGLE_WORDS_MAX)
    return err_set(err, ERR_MISUSE, "ngram: 1 to %d words expected", SHINGLE_WORDS_MAX);
  struct overlap *o = mem_zero(sizeof *o);
  if (!o) return err_nomem(err, sizeof *o, "n-grams");
  o->words = n;
  o->room = memory / (2 * sizeof(struct run));
  int rc = shingle_table_new(&o->table, false, err);
  if (rc)
    overlap_free(o);
  else
    *out = o;
  return rc;
}

void overlap_free(struct overlap *o) {
  if (!o) return;
  shingle_table_free(o->table);
  mem_free(o->runs);
  mem_free(o->hashes);
  mem_free(o->rows);
  mem_free(o->first);
  mem_free(o);
}

uint64_t overlap_count(const struct overlap *o) {
  return o->n;
}

static int add_run(struct overlap *o, uint64_t hash, uint32_t row, struct err *err) {
  if (o->n == o->cap) {
    size_t cap = o->cap ? o->cap * 2 : 4096;
    if (cap > o->room) cap = o->room;
    if (cap == o->n || cap > UINT32_MAX)
      return err_set(err, ERR_LIMIT, "more than %zu %u-grams: they do not fit the memory", o->n,
                     o->words);
    struct run *runs = mem_rearray(o->runs, cap, sizeof *runs);
    if (!runs) return err_nomem(err, cap * sizeof *runs, "n-grams");
    o->runs = runs;
    o->cap = cap;
  }
  o->runs[o->n++] = (struct run){hash, row};
  return 0;
}

/* ---- the strings of a line ---- */

typedef int on_run(void *arg, uint64_t hash, const char *s, size_t start, size_t end,
                   struct err *err);

struct walk {
  const struct shingle_table *table;
  unsigned words;
  on_run *each;
  void *arg;
  struct buf joined;
  bool any; /* a string had enough words */
  const char *s;
};

static int walk_run(void *arg, uint64_t hash, size_t start, size_t end, struct err *err) {
  struct walk *w = arg;
  w->any = true;
  return w->each(w->arg, hash, w->s, start, end, err);
}

static int walk_string(void *arg, const char *s, size_t n, struct err *err) {
  struct walk *w = arg;
  w->s = s;
  buf_add(&w->joined, s, n);
  buf_addc(&w->joined, '\n');
  return shingle_runs(w->table, s, n, w->words, walk_run, w, err);
}

/* Of a short row the numbers count too: "2 + 2" is not "2 + 3". The joined strings are used up. */
static uint64_t whole_hash(struct walk *w) {
  uint64_t digest[2];
  size_t n = 0;
  char *s = w->joined.data;
  if (!shingle_digest(w->table, s, w->joined.len, digest)) return 0;
  for (size_t i = 0; i < w->joined.len; i++)
    if (s[i] >= '0' && s[i] <= '9') s[n++] = s[i];
  return digest[0] ^ digest[1] ^ hash_xxh3(s, n, WHOLE);
}

/* Calls each for the runs of a line, those of the joined strings where no string has one; *whole gets
 * the hash of all words of a line without any run (0: no words either), else 0. */
static int walk_line(struct walk *w, const char *line, size_t n, const char *const *fields,
                     uint64_t *whole, struct err *err) {
  struct json *j = NULL;
  struct buf scratch;
  buf_init(&scratch);
  buf_init(&w->joined);
  *whole = 0;
  int rc = json_parse(&j, line, n, NULL, err);
  if (!rc) rc = member_strings(j, fields, walk_string, w, &scratch, err);
  if (!rc) rc = buf_check(&w->joined, "a record's strings", err);
  if (!rc && !w->any && w->joined.len) {
    w->s = w->joined.data;
    rc = shingle_runs(w->table, w->s, w->joined.len, w->words, walk_run, w, err);
    if (!rc && !w->any) *whole = whole_hash(w);
  }
  json_free(j);
  buf_clear(&scratch);
  buf_clear(&w->joined);
  return rc;
}

/* ---- adding ---- */

struct adding {
  struct overlap *o;
  uint32_t row;
};

static int adding_run(void *arg, uint64_t hash, const char *s, size_t start, size_t end,
                      struct err *err) {
  struct adding *a = arg;
  (void)s, (void)start, (void)end;
  return add_run(a->o, hash, a->row, err);
}

int overlap_add(struct overlap *o, uint32_t row, const char *line, size_t n,
                const char *const *fields, uint64_t *runs, struct err *err) {
  struct adding a = {o, row};
  struct walk w = {.table = o->table, .words = o->words, .each = adding_run, .arg = &a};
  uint64_t whole;
  size_t before = o->n;
  if (o->first) return err_set(err, ERR_MISUSE, "overlap: nothing can be added after seal");
  int rc = walk_line(&w, line, n, fields, &whole, err);
  if (!rc && whole) rc = add_run(o, whole, row, err);
  if (runs) *runs = o->n - before;
  return rc ? rc : cancel_check(err);
}

static int by_hash(const void *x, const void *y) {
  const struct run *a = x, *b = y;
  if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
  return a->row < b->row ? -1 : a->row > b->row;
}

int overlap_seal(struct overlap *o, struct err *err) {
  if (o->first) return err_set(err, ERR_MISUSE, "overlap: sealed already");
  if (o->n) qsort(o->runs, o->n, sizeof *o->runs, by_hash);
  size_t to = 0;
  for (size_t i = 0; i < o->n; i++)
    if (!to || o->runs[i].hash != o->runs[to - 1].hash) o->runs[to++] = o->runs[i];
  o->n = to;
  for (o->bits = 1; o->bits < 30 && (size_t)4 << o->bits < o->n;) o->bits++;
  size_t buckets = (size_t)1 << o->bits;
  o->hashes = mem_array(o->n, sizeof *o->hashes);
  o->rows = mem_array(o->n, sizeof *o->rows);
  o->first = mem_array(buckets + 1, sizeof *o->first);
  if (!o->hashes || !o->rows || !o->first) return err_nomem(err, o->n * 12, "n-grams");
  size_t at = 0;
  for (size_t b = 0; b < buckets; b++) {
    o->first[b] = (uint32_t)at;
    for (; at < o->n && o->runs[at].hash >> (64 - o->bits) == b; at++) {
      o->hashes[at] = o->runs[at].hash;
      o->rows[at] = o->runs[at].row;
    }
  }
  o->first[buckets] = (uint32_t)at;
  mem_free(o->runs);
  o->runs = NULL;
  return 0;
}

/* ---- matching ---- */

/* Where the hash is in the list, or n. */
static size_t find(const struct overlap *o, uint64_t hash) {
  size_t b = (size_t)(hash >> (64 - o->bits));
  for (size_t i = o->first[b]; i < o->first[b + 1]; i++)
    if (o->hashes[i] == hash) return i;
  return o->n;
}

struct matching {
  const struct overlap *o;
  struct overlap_hit *hit;
  struct buf *passage;
  const char *s; /* the string that the passage is of */
  size_t end;    /* of the passage, while it grows */
  bool growing;
};

static void grow_passage(struct matching *m, const char *s, size_t start, size_t end) {
  size_t from = m->passage->len ? m->end : start;
  size_t room = PASSAGE - m->passage->len, n = end - from;
  if (n > room) n = utf8_floor(s + from, end - from, room);
  buf_add(m->passage, s + from, n);
  m->end = end;
  m->growing = m->passage->len + 4 < PASSAGE;
}

static int matching_run(void *arg, uint64_t hash, const char *s, size_t start, size_t end,
                        struct err *err) {
  struct matching *m = arg;
  size_t at = find(m->o, hash);
  (void)err;
  m->hit->runs++;
  if (at == m->o->n) {
    m->growing = false;
    return 0;
  }
  if (!m->hit->shared++) {
    m->hit->row = m->o->rows[at];
    m->s = s;
    m->growing = true;
  }
  if (m->growing && s == m->s && start <= (m->passage->len ? m->end : start))
    grow_passage(m, s, start, end);
  return 0;
}

int overlap_match(const struct overlap *o, const char *line, size_t n, const char *const *fields,
                  struct overlap_hit *hit, struct buf *passage, struct err *err) {
  struct matching m = {.o = o, .hit = hit, .passage = passage};
  struct walk w = {.table = o->table, .words = o->words, .each = matching_run, .arg = &m};
  uint64_t whole;
  *hit = (struct overlap_hit){0};
  buf_reset(passage);
  if (!o->first) return err_set(err, ERR_MISUSE, "overlap: match after seal");
  int rc = walk_line(&w, line, n, fields, &whole, err);
  size_t at = !rc && whole ? find(o, whole) : o->n;
  if (at < o->n) *hit = (struct overlap_hit){1, 1, o->rows[at], true};
  return rc ? rc : buf_check(passage, "a passage", err);
}
