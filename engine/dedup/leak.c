/* SPDX-License-Identifier: MIT */
/* Leaks between sides; see leak.h.
 *
 * One external sort takes all that must be equal to be shared. Its entries, 24 bytes:
 *
 *   (kind, 56 bits of the hash) (64 bits of the hash) (side, record)
 *
 * so that of each thing the records come side by side: once one of a later side appears, it is known
 * which sides had the thing before. Near duplicates are dedup.h's clusters.
 */
#include "dedup/leak.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "dedup/dedup.h"
#include "dedup/member.h"
#include "dedup/shingle.h"
#include "dedup/sorter.h"
#include "file/file.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLL      4096
#define SORT_MAX  (UINT64_C(16) << 30) /* bytes of run files, about */
#define RUN_BYTES 4                    /* of text a run of words takes, at the least */

#define FIELDS_MAX 64

struct leak {
  struct leak_options o;
  const char *fields[FIELDS_MAX + 1]; /* copies; o.fields is this or NULL */
  struct shingle_table *table;
  struct sorter *sorter;
  struct dedup *dedup;
  struct json *tape;
  struct buf scratch, text;
  unsigned char *sides; /* of each record; later also which pairs it was counted for */
  uint64_t n, cap, mask;
  struct leak_report report;
};

static int pair_of(int first, int second) {
  return first == GROUPS_VALIDATION    ? LEAK_VALIDATION_TEST
         : second == GROUPS_VALIDATION ? LEAK_TRAIN_VALIDATION
                                       : LEAK_TRAIN_TEST;
}

static int copy_fields(struct leak *l, const char *const *fields, struct err *err) {
  l->o.fields = fields ? l->fields : NULL;
  for (size_t i = 0; fields && fields[i]; i++) {
    if (i == FIELDS_MAX) return err_set(err, ERR_MISUSE, "fields: at most %d", FIELDS_MAX);
    if (!(l->fields[i] = mem_strdup(fields[i]))) return err_nomem(err, 0, "a leakage report");
  }
  return 0;
}

int leak_new(struct leak **out, const struct leak_options *o, struct err *err) {
  char prefix[4300];
  struct leak *l = mem_zero(sizeof *l);
  *out = NULL;
  if (!l) return err_nomem(err, sizeof *l, "a leakage report");
  l->o = *o;
  l->report.every = 1;
  while (o->bytes / RUN_BYTES / l->report.every > SORT_MAX / sizeof(struct entry))
    l->report.every *= 2;
  l->mask = l->report.every - 1;
  struct dedup_options d;
  dedup_defaults(&d);
  d.near = o->near, d.memory = o->memory / 2, d.scratch = o->scratch, d.pool = o->pool;
  int rc = strlen(o->scratch) > 4000 ? err_set(err, ERR_LIMIT, "scratch: too long a path") : 0;
  l->o.scratch = NULL; /* the caller's */
  if (!rc && o->ngram > SHINGLE_WORDS_MAX)
    rc = err_set(err, ERR_MISUSE, "ngram: at most %d words", SHINGLE_WORDS_MAX);
  if (!rc) rc = copy_fields(l, o->fields, err);
  snprintf(prefix, sizeof prefix, "%s/leak-%ld-%p", o->scratch, (long)getpid(), (void *)l);
  if (!rc) rc = shingle_table_new(&l->table, false, err);
  if (!rc) rc = sorter_new(&l->sorter, prefix, o->memory / 2, err);
  if (!rc && o->near > 0.0) rc = dedup_new(&l->dedup, &d, err);
  if (rc)
    leak_free(l);
  else
    *out = l;
  return rc;
}

void leak_free(struct leak *l) {
  if (!l) return;
  shingle_table_free(l->table);
  sorter_free(l->sorter);
  dedup_free(l->dedup);
  json_free(l->tape);
  buf_clear(&l->scratch);
  buf_clear(&l->text);
  mem_free(l->sides);
  for (size_t i = 0; i < FIELDS_MAX; i++) mem_free((void *)(uintptr_t)l->fields[i]);
  mem_free(l);
}

/* ---- adding ---- */

static int add(struct leak *l, enum leak_kind kind, uint64_t high, uint64_t low, struct err *err) {
  uint64_t side = l->sides[l->n];
  return sorter_add(l->sorter,
                    (struct entry){(uint64_t)kind << 56 | high >> 8, low, side << 62 | l->n}, err);
}

static int add_member(struct leak *l, enum leak_kind kind, const char *path, struct err *err) {
  size_t n;
  uint64_t key[2];
  json_id v = member_at(l->tape, JSON_ROOT, path);
  if (json_kind(l->tape, v) == JSON_NULL) return 0;
  const char *s = json_raw(l->tape, v, &n);
  hash_xxh3_128(s, n, 0, key);
  return add(l, kind, key[0], key[1], err);
}

static int on_run(void *arg, uint64_t hash, size_t start, size_t end, struct err *err) {
  struct leak *l = arg;
  (void)start, (void)end;
  return hash & l->mask ? 0 : add(l, LEAK_NGRAM, hash, 0, err);
}

static int on_string(void *arg, const char *s, size_t n, struct err *err) {
  struct leak *l = arg;
  buf_add(&l->text, s, n);
  buf_addc(&l->text, '\n');
  return l->o.ngram ? shingle_runs(l->table, s, n, l->o.ngram, on_run, l, err) : 0;
}

static int grow(struct leak *l, struct err *err) {
  if (l->n < l->cap) return 0;
  uint64_t cap = l->cap ? l->cap * 2 : 4096;
  unsigned char *sides = mem_rearray(l->sides, (size_t)cap, 1);
  if (!sides) return err_nomem(err, cap, "a leakage report");
  l->sides = sides;
  l->cap = cap;
  return 0;
}

static int add_record(struct leak *l, int side, const struct line *line, struct err *err) {
  uint64_t key[2];
  int rc = grow(l, err);
  if (!rc) rc = json_parse_again(&l->tape, line->text, line->len, NULL, err);
  if (rc) return rc;
  l->sides[l->n] = (unsigned char)side;
  l->report.records[side]++;
  buf_reset(&l->text);
  rc = add_member(l, LEAK_DOCUMENT, "metadata.document", err);
  if (!rc) rc = add_member(l, LEAK_CLUSTER, "metadata.cluster", err);
  if (!rc) rc = member_strings(l->tape, l->o.fields, on_string, l, &l->scratch, err);
  if (!rc) rc = buf_check(&l->text, "a record's text", err);
  if (!rc && l->text.len) {
    hash_xxh3_128(l->text.data, l->text.len, 0, key);
    rc = add(l, LEAK_EXACT, key[0], key[1], err);
  }
  if (!rc && l->dedup)
    rc = dedup_add(l->dedup, l->text.len ? l->text.data : NULL, l->text.len, err);
  l->n++;
  return rc;
}

int leak_add_lines(struct leak *l, const struct groups *g, const char *path, struct err *err) {
  struct lines *r = NULL;
  struct line line;
  int got = 0, rc = lines_open(&r, path, 0, err);
  while (!rc && (got = lines_next_record(r, &line, err)) == 1) {
    if (line.too_long || l->n >= groups_count(g))
      rc = err_set(err, ERR_MISMATCH, "%s: the input changed while it was read", path);
    else
      rc = add_record(l, groups_side(g, l->n), &line, err);
    if (!rc && l->n % POLL == 0) rc = cancel_check(err);
  }
  if (got < 0) rc = err ? err->code : ERR_IO;
  lines_close(r);
  return rc;
}

/* ---- counting ---- */

struct thing { /* a document, text, run … and the sides that it was met on */
  uint64_t a, b, first[GROUPS_SIDES];
  bool on[GROUPS_SIDES];
};

static void example(struct leak *l, enum leak_kind kind, uint64_t first, uint64_t second) {
  size_t same = 0;
  for (size_t i = 0; i < l->report.example_n; i++) {
    const struct leak_example *e = &l->report.examples[i];
    same += e->kind == kind;
    if (e->kind == kind && e->second == second) return;
  }
  if (same < LEAK_EXAMPLES)
    l->report.examples[l->report.example_n++] = (struct leak_example){kind, first, second};
}

/* One more record that has the thing. A record has many runs and is counted once: bits 2 … 4. */
static void met(struct leak *l, enum leak_kind kind, struct thing *t, int side, uint64_t record) {
  for (int before = 0; before < side; before++) {
    int pair = pair_of(before, side);
    if (!t->on[before]) continue;
    l->report.found[kind][pair].shared += !t->on[side];
    unsigned char bit = (unsigned char)(4 << pair);
    if (kind != LEAK_NGRAM || !(l->sides[record] & bit)) {
      l->report.found[kind][pair].records++;
      if (kind == LEAK_NGRAM) l->sides[record] |= bit;
      example(l, kind, t->first[before], record);
    }
  }
  if (!t->on[side]) t->first[side] = record;
  t->on[side] = true;
}

static int count_equal(struct leak *l, struct err *err) {
  struct thing t = {0};
  struct entry e;
  uint64_t last = UINT64_MAX;
  int got = 0, rc = sorter_sort(l->sorter, err);
  for (uint64_t i = 0; !rc && (got = sorter_next(l->sorter, &e, err)) == 1; i++) {
    uint64_t record = e.id & (UINT64_MAX >> 2);
    if (!i || e.a != t.a || e.b != t.b) {
      t = (struct thing){.a = e.a, .b = e.b};
      last = UINT64_MAX;
    }
    if (record != last) met(l, (enum leak_kind)(e.a >> 56), &t, (int)(e.id >> 62), record);
    last = record;
    if (i % POLL == 0) rc = cancel_check(err);
  }
  return got < 0 ? (err ? err->code : ERR_IO) : rc;
}

/* Clusters: which sides each has, by its kept record; then every record looks. */
static int count_near(struct leak *l, struct err *err) {
  struct dedup_facts facts;
  if (!l->dedup) return 0;
  int rc = dedup_finish(l->dedup, &facts, err);
  unsigned char *on = rc ? NULL : mem_zeros((size_t)l->n, 1);
  if (!rc && !on) rc = err_nomem(err, l->n, "a leakage report");
  for (uint64_t i = 0; i < l->n && !rc; i++) {
    struct dedup_verdict v = dedup_verdict(l->dedup, i);
    if (v.cluster) on[v.of] |= (unsigned char)(1 << (l->sides[i] & 3));
    if (i % POLL == 0) rc = cancel_check(err);
  }
  for (uint64_t i = 0; i < l->n && !rc; i++) {
    for (int second = 1; second < GROUPS_SIDES; second++)
      for (int first = 0; first < second; first++)
        l->report.found[LEAK_NEAR][pair_of(first, second)].shared +=
            (on[i] >> first & 1) && (on[i] >> second & 1);
    struct dedup_verdict v = dedup_verdict(l->dedup, i);
    int side = l->sides[i] & 3;
    if (!v.cluster) continue;
    for (int first = 0; first < side; first++)
      if (on[v.of] >> first & 1) {
        l->report.found[LEAK_NEAR][pair_of(first, side)].records++;
        if ((l->sides[v.of] & 3) == first) example(l, LEAK_NEAR, v.of, i);
      }
    if ((l->sides[v.of] & 3) > side) example(l, LEAK_NEAR, i, v.of);
  }
  mem_free(on);
  return rc;
}

int leak_finish(struct leak *l, struct leak_report *report, struct err *err) {
  int rc = count_equal(l, err);
  if (!rc) rc = count_near(l, err);
  if (!rc) *report = l->report;
  return rc;
}
