/* SPDX-License-Identifier: MIT */
/* Deduplication; see dedup.h.
 *
 *   batch of texts ── pool ──► per record: exact key · set of shingles · 112 minima
 *        (in order)             │             │              └─ 14 band keys ─► sorter
 *                               └─► sorter    └─► sets (memory, then a file that is mapped)
 *
 *   sorter, in order of (band, key, id):    (0, exact key, 3) (0, exact key, 9) …   union 3 9
 *                                           (1, band key, 4) (1, band key, 7) …     check 4 7,
 * union
 *
 * An entry's key is 128 bits: the band's number (0: exact) in the top byte, then hash bits. Exact
 * groups come first, so later copies of a text need no checking.
 *
 * In a group every member is compared with the group's representatives, at most REPRESENTATIVES of
 * them; a member that is similar to none becomes one. So a group of n (boilerplate in a million
 * pages) costs O(n), not O(n²).
 *
 * Sets are cut to the SET_MAX smallest hashes: exact Jaccard for texts of up to that many different
 * shingles, for longer ones an estimate with a standard deviation below 0.7 %.
 */
#include "dedup/dedup.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "dedup/minhash.h"
#include "dedup/shingle.h"
#include "dedup/sorter.h"
#include "file/file.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_RECORDS   1024
#define BATCH_BYTES     ((size_t)8 << 20)
#define REPRESENTATIVES 32
#define SET_MAX         4096
#define POLL            4096

struct item { /* a record of the batch */
  size_t at, n;
  bool is_line, absent;
  uint64_t line; /* its number, for messages */
};
struct work { /* what a task makes of it */
  uint64_t exact[2], scope;
  struct shingles set;
  uint32_t least[MINHASH_COUNT];
  bool absent;
  int rc;
  struct err err;
};
struct record {
  uint32_t parent;
  float similarity;
  uint32_t exact_of; /* the earliest record with the same key; itself when none */
};

struct dedup {
  struct dedup_options o;
  char *scope, *prefix; /* o.scope is scope: the caller's string may go */
  struct minhash minhash;
  struct shingle_table *table;
  struct sorter *sorter;
  struct buf text; /* of the batch */
  struct item items[BATCH_RECORDS];
  struct work work[BATCH_RECORDS];
  size_t batch;
  const char *path, *field; /* of the lines in the batch */
  struct record *records;
  uint64_t n, cap;
  /* sets: record i's is at [sets_at[i], sets_at[i + 1]) of the words in memory or in the file */
  uint64_t *sets_at, sets_n;
  struct buf sets; /* in memory, or the part not yet written */
  struct file_replace *sets_file;
  struct file_map sets_map;
  char *sets_path;
  bool finished, ready;
  struct dedup_facts facts;
};

void dedup_defaults(struct dedup_options *o) {
  *o = (struct dedup_options){
      .near = 0.8, .shingle = 5, .memory = (size_t)256 << 20, .scratch = "/tmp"};
}

static int check_options(struct dedup_options *o, struct err *err) {
  if (!(o->near >= 0.0 && o->near <= 1.0))
    return err_set(err, ERR_MISUSE, "near: a similarity from 0 (exact only) to 1 expected");
  if (o->shingle < 1 || o->shingle > SHINGLE_WORDS_MAX)
    return err_set(err, ERR_MISUSE, "shingle: 1 to %d words expected", SHINGLE_WORDS_MAX);
  if (o->near > 0.0 && (!o->rows || !o->buckets)) minhash_bands(o->near, &o->buckets, &o->rows);
  if (o->near > 0.0 && (o->buckets > MINHASH_COUNT || o->rows > MINHASH_COUNT / o->buckets))
    return err_set(err, ERR_MISUSE, "buckets × rows: at most %d", MINHASH_COUNT);
  if (o->near == 0.0) o->buckets = o->rows = 0;
  return 0;
}

static int make_paths(struct dedup *d, struct err *err) {
  const char *scratch = d->o.scratch ? d->o.scratch : "/tmp";
  size_t n = strlen(scratch) + 80;
  d->prefix = mem_alloc(n);
  d->sets_path = mem_alloc(n);
  if (!d->prefix || !d->sets_path) return err_nomem(err, n, "deduplication");
  snprintf(d->prefix, n, "%s/dedup-%ld-%p", scratch, (long)getpid(), (void *)d);
  snprintf(d->sets_path, n, "%s.sets", d->prefix);
  return 0;
}

int dedup_new(struct dedup **out, const struct dedup_options *o, struct err *err) {
  struct dedup *d = mem_zero(sizeof *d);
  *out = NULL;
  if (!d) return err_nomem(err, sizeof *d, "deduplication");
  d->o = *o;
  int rc = check_options(&d->o, err);
  if (!rc && o->scope && !(d->o.scope = d->scope = mem_strdup(o->scope)))
    rc = err_nomem(err, strlen(o->scope), "deduplication");
  if (!rc) rc = make_paths(d, err);
  if (!rc) rc = sorter_new(&d->sorter, d->prefix, d->o.memory / 2, err);
  if (!rc && (d->o.near > 0.0 || d->o.normalise)) rc = shingle_table_new(&d->table, err);
  minhash_init(&d->minhash);
  if (rc)
    dedup_free(d);
  else
    *out = d;
  return rc;
}

void dedup_free(struct dedup *d) {
  if (!d) return;
  for (size_t i = 0; i < BATCH_RECORDS; i++) shingles_clear(&d->work[i].set);
  shingle_table_free(d->table);
  sorter_free(d->sorter);
  buf_clear(&d->text);
  buf_clear(&d->sets);
  if (d->sets_file) {
    file_replace_close(d->sets_file);
    file_map_close(&d->sets_map);
    file_unlink(d->sets_path, NULL);
  }
  mem_free(d->records);
  mem_free(d->sets_at);
  mem_free(d->scope);
  mem_free(d->prefix);
  mem_free(d->sets_path);
  mem_free(d);
}

bool dedup_finished(const struct dedup *d) {
  return d->ready;
}

uint64_t dedup_count(const struct dedup *d) {
  return d->n + d->batch;
}

/* ---- one batch ---- */

static void text_work(const struct dedup *d, struct work *w, const char *s, size_t n) {
  if (!d->o.normalise || !shingle_digest(d->table, s, n, w->exact))
    hash_xxh3_128(s, n, 0, w->exact);
  if (d->o.near == 0.0) return;
  w->rc = shingle_text(d->table, s, n, d->o.shingle, &w->set, &w->err);
  if (!w->rc) w->rc = shingles_unique(&w->set, &w->err);
  if (!w->rc && w->set.n) minhash_least(&d->minhash, w->set.v, w->set.n, w->least);
}

/* A hash of the member that `path` ("a.b") leads to; 0 when there is none. */
static uint64_t scope_of(const struct json *j, const char *path) {
  json_id v = JSON_ROOT;
  while (v != JSON_NONE && *path) {
    size_t n = strcspn(path, ".");
    v = json_getn(j, v, path, n);
    path += n + (path[n] == '.');
  }
  size_t n = 0;
  const char *raw = v == JSON_NONE ? NULL : json_raw(j, v, &n);
  return raw ? hash_xxh3(raw, n, 1) : 0;
}

static void line_work(const struct dedup *d, struct work *w, const struct item *item) {
  struct json *j = NULL;
  struct buf scratch;
  size_t n = 0;
  buf_init(&scratch);
  w->rc = json_parse(&j, d->text.data + item->at, item->n, NULL, &w->err);
  if (!w->rc && json_kind(j, JSON_ROOT) != JSON_OBJECT)
    w->rc = err_set(&w->err, ERR_FORMAT, "a JSON object expected");
  if (!w->rc) {
    json_id v = json_get(j, JSON_ROOT, d->field);
    enum json_kind kind = json_kind(j, v);
    const char *s = kind == JSON_STRING ? json_string(j, v, &scratch, &n)
                    : kind == JSON_NULL ? NULL
                                        : json_raw(j, v, &n);
    w->absent = kind == JSON_NULL;
    w->scope = d->o.scope ? scope_of(j, d->o.scope) : 0;
    if (!s && !w->absent) w->rc = err_nomem(&w->err, n, "a record's text");
    if (!w->rc && s) text_work(d, w, s, n);
  }
  if (w->rc) err_prefix(&w->err, "%s:%llu", d->path, (unsigned long long)item->line);
  json_free(j);
  buf_clear(&scratch);
}

static void task(void *arg, size_t i) {
  struct dedup *d = arg;
  struct work *w = &d->work[i];
  const struct item *item = &d->items[i];
  w->set.n = 0;
  w->rc = 0;
  w->absent = item->absent;
  w->scope = 0;
  if (item->is_line)
    line_work(d, w, item);
  else if (!item->absent)
    text_work(d, w, d->text.data + item->at, item->n);
}

/* The sets in memory go to the file. */
static int write_sets(struct dedup *d, struct err *err) {
  int rc = 0;
  if (!d->sets_file) rc = file_replace_open(&d->sets_file, d->sets_path, FILE_NO_SYNC, err);
  if (!rc) rc = file_replace_write(d->sets_file, d->sets.data, d->sets.len, err);
  buf_reset(&d->sets);
  return rc;
}

static int keep_set(struct dedup *d, const struct shingles *set, struct err *err) {
  size_t n = set->n < SET_MAX ? set->n : SET_MAX;
  if (n) buf_add(&d->sets, set->v, n * sizeof *set->v);
  d->sets_n += n;
  d->facts.shingles += set->n;
  int rc = buf_check(&d->sets, "sets of shingles", err);
  size_t most = d->o.memory / 4 > ((size_t)1 << 20) ? d->o.memory / 4 : (size_t)1 << 20;
  return !rc && d->sets.len > most ? write_sets(d, err) : rc;
}

static int grow_records(struct dedup *d, struct err *err) {
  if (d->n < d->cap) return 0;
  uint64_t cap = d->cap ? d->cap * 2 : BATCH_RECORDS;
  if (cap > UINT32_MAX) return err_set(err, ERR_LIMIT, "more than 2^31 records");
  struct record *records = mem_rearray(d->records, (size_t)cap, sizeof *records);
  if (!records) return err_nomem(err, cap * sizeof *records, "deduplication");
  d->records = records;
  uint64_t *sets_at = mem_rearray(d->sets_at, (size_t)cap + 1, sizeof *sets_at);
  if (!sets_at) return err_nomem(err, cap * sizeof *sets_at, "deduplication");
  if (!d->cap) sets_at[0] = 0;
  d->sets_at = sets_at;
  d->cap = cap;
  return 0;
}

static struct entry band_entry(const struct dedup *d, const struct work *w, unsigned band) {
  uint64_t key[2];
  hash_xxh3_128(w->least + (size_t)band * d->o.rows, d->o.rows * sizeof *w->least, band, key);
  return (struct entry){(uint64_t)(band + 1) << 56 | key[0] >> 8, key[1] ^ w->scope, d->n};
}

/* Takes over one record's results, in the order of the records. */
static int take(struct dedup *d, const struct work *w, struct err *err) {
  int rc = grow_records(d, err);
  if (rc) return rc;
  uint32_t id = (uint32_t)d->n;
  d->records[id] = (struct record){.parent = id, .exact_of = id};
  if (!w->absent)
    rc = sorter_add(d->sorter, (struct entry){w->exact[0] >> 8, w->exact[1] ^ w->scope, id}, err);
  for (unsigned b = 0; b < d->o.buckets && w->set.n && !w->absent && !rc; b++)
    rc = sorter_add(d->sorter, band_entry(d, w, b), err);
  if (!rc) rc = keep_set(d, &w->set, err);
  if (rc) return rc;
  d->sets_at[++d->n] = d->sets_n;
  return 0;
}

static int run_batch(struct dedup *d, struct err *err) {
  size_t n = d->batch;
  if (!n) return 0;
  int rc = pool_run(d->o.pool, n, task, d);
  if (rc)
    rc = cancel_check(err) ? ERR_CANCELLED : err_set(err, rc, "deduplication was interrupted");
  for (size_t i = 0; i < n && !rc; i++) {
    struct work *w = &d->work[i];
    if (w->rc)
      rc = err_set(err, w->rc, "%s", w->err.message);
    else
      rc = take(d, w, err);
  }
  size_t biggest = BATCH_BYTES / 16;
  for (size_t i = 0; i < n;
       i++) /* the sets' memory is used again, unless a huge text needed much */
    if (d->work[i].set.cap * sizeof(uint32_t) > biggest) shingles_clear(&d->work[i].set);
  d->batch = 0;
  buf_reset(&d->text);
  return rc;
}

static int add(struct dedup *d, struct item item, const char *s, struct err *err) {
  if (d->finished) return err_set(err, ERR_MISUSE, "dedup: nothing can be added after finish");
  item.at = d->text.len;
  buf_add(&d->text, s ? s : "", item.n);
  int rc = buf_check(&d->text, "a batch of texts", err);
  if (rc) return rc;
  d->items[d->batch++] = item;
  return d->batch == BATCH_RECORDS || d->text.len >= BATCH_BYTES ? run_batch(d, err) : 0;
}

int dedup_add(struct dedup *d, const char *text, size_t n, struct err *err) {
  return add(d, (struct item){.n = text ? n : 0, .absent = !text}, text, err);
}

int dedup_add_lines(struct dedup *d, const char *path, const char *field, uint64_t *records,
                    struct err *err) {
  struct lines *r = NULL;
  struct line line;
  uint64_t before = dedup_count(d);
  int rc = run_batch(d, err), got = 0; /* texts added before have no path to be named by */
  if (!rc) rc = lines_open(&r, path, 0, err);
  d->path = path;
  d->field = field;
  while (!rc && (got = lines_next(r, &line, err)) == 1) {
    if (line.too_long)
      rc = err_set(err, ERR_LIMIT, "%s:%llu: the line has %zu bytes, more than %zu", path,
                   (unsigned long long)line.number, line.len, LINES_MAX_DEFAULT);
    else
      rc = add(d, (struct item){.n = line.len, .is_line = true, .line = line.number}, line.text,
               err);
  }
  if (got < 0) rc = err ? err->code : ERR_IO;
  lines_close(r);
  if (!rc) rc = run_batch(d, err);
  if (rc) d->batch = 0; /* its lines have no field to be read from any more */
  d->path = d->field = NULL;
  if (records) *records = dedup_count(d) - before;
  return rc;
}

/* ---- clusters ---- */

static uint32_t root(struct dedup *d, uint32_t i) {
  while (d->records[i].parent != i) {
    d->records[i].parent = d->records[d->records[i].parent].parent;
    i = d->records[i].parent;
  }
  return i;
}

/* The earlier root becomes the root of both. */
static void join(struct dedup *d, uint32_t i, uint32_t j) {
  uint32_t a = root(d, i), b = root(d, j);
  if (a < b)
    d->records[b].parent = a;
  else
    d->records[a].parent = b;
}

static const uint32_t *set_of(const struct dedup *d, uint32_t i, size_t *n) {
  const char *all = d->sets_map.data ? d->sets_map.data : d->sets.data;
  *n = (size_t)(d->sets_at[i + 1] - d->sets_at[i]);
  return (const uint32_t *)(const void *)all + d->sets_at[i];
}

static double similarity(const struct dedup *d, uint32_t i, uint32_t j) {
  size_t n, m;
  const uint32_t *a = set_of(d, i, &n), *b = set_of(d, j, &m);
  return n && m ? shingle_jaccard(a, n, b, m, SET_MAX) : 0.0;
}

struct group { /* members of equal keys, so far */
  uint64_t a, b;
  uint32_t first; /* exact groups */
  uint32_t representative[REPRESENTATIVES];
  unsigned n;
};

static void exact_member(struct dedup *d, struct group *g, uint32_t id) {
  if (!g->n) g->first = id, g->n = 1;
  if (id == g->first) return;
  d->records[id].exact_of = g->first;
  join(d, g->first, id);
}

static void near_member(struct dedup *d, struct group *g, uint32_t id) {
  if (d->records[id].exact_of != id) return;
  bool similar = false;
  for (unsigned k = 0; k < g->n && !similar; k++) {
    uint32_t other = g->representative[k];
    if (root(d, other) == root(d, id)) {
      similar = true;
    } else {
      d->facts.checked++;
      similar = similarity(d, other, id) >= d->o.near;
      if (similar) join(d, other, id);
    }
  }
  d->facts.candidates += g->n > 0;
  if (!similar && g->n < REPRESENTATIVES) g->representative[g->n++] = id;
}

static int clusters(struct dedup *d, struct err *err) {
  struct group g = {0};
  struct entry e;
  int got = 0, rc = 0;
  for (uint64_t i = 1; !rc && (got = sorter_next(d->sorter, &e, err)) == 1; i++) {
    if (!g.n || e.a != g.a || e.b != g.b) g = (struct group){.a = e.a, .b = e.b};
    if (e.a >> 56)
      near_member(d, &g, (uint32_t)e.id);
    else
      exact_member(d, &g, (uint32_t)e.id);
    if (i % POLL == 0) rc = cancel_check(err);
  }
  return got < 0 ? (err ? err->code : ERR_IO) : rc;
}

static void count(struct dedup *d) {
  for (uint32_t i = 0; i < d->n; i++) {
    struct record *r = &d->records[i];
    uint32_t of = root(d, i);
    r->parent = of;
    r->similarity = of == i || r->exact_of == of ? 1.0f : (float)similarity(d, of, r->exact_of);
    d->facts.kept += of == i;
    d->facts.exact += of != i && r->exact_of != i;
    d->facts.near += of != i && r->exact_of == i;
  }
  d->facts.records = d->n;
  d->facts.spilled = sorter_runs(d->sorter) + (d->sets_map.data ? 1 : 0);
}

int dedup_finish(struct dedup *d, struct dedup_facts *facts, struct err *err) {
  if (d->finished) return err_set(err, ERR_MISUSE, "dedup: finished already");
  int rc = run_batch(d, err);
  d->finished = true;
  if (!rc && d->sets_file) {
    rc = write_sets(d, err);
    if (!rc) rc = file_replace_commit(d->sets_file, err);
    if (!rc) rc = file_map_open(&d->sets_map, d->sets_path, err);
  }
  if (!rc) rc = sorter_sort(d->sorter, err);
  if (!rc) rc = clusters(d, err);
  if (rc) return rc;
  count(d);
  d->ready = true;
  if (facts) *facts = d->facts;
  return 0;
}

struct dedup_verdict dedup_verdict(const struct dedup *d, uint64_t i) {
  const struct record *r = &d->records[i];
  enum dedup_kind kind = r->parent == i ? DEDUP_KEEP : r->exact_of != i ? DEDUP_EXACT : DEDUP_NEAR;
  return (struct dedup_verdict){kind, r->parent, (double)r->similarity};
}
