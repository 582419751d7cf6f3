/* SPDX-License-Identifier: MIT */
/* Deduplication; see dedup.h.
 *
 *   batch of texts ── pool ──► per record: exact key · set of shingles · minima · place
 *        (in order)             │             │            │             └─► places (spill)
 *                               └─► sorter    └─► sets     └─ band keys ─► sorter
 *
 *   sorter:   (0, exact key, order, 3) (0, exact key, order, 9) …        join 3 9
 *             (1, band key, order, 7)  (1, band key, order, 4)  …        check 7 4, join
 *
 * An entry is 24 bytes: the band's number (0: exact) and 88 bits of its key, then 64 bits of a hash
 * of the record's line, by which members of a group are in order whatever the order of adding, then
 * the record's number. Exact groups come first, so further copies of a text need no checking.
 *
 * In a group every member is compared with those before it that are not yet in its cluster, at most
 * MEMBERS of them. So a group of n (boilerplate in a million pages) costs O(n), not O(n²), and below
 * MEMBERS every candidate pair is looked at.
 *
 * Sets are cut to the SET_MAX smallest hashes: exact Jaccard for texts of up to that many different
 * shingles (some 400 kB of text), for longer ones an estimate with a standard deviation below 0.2 %.
 */
#include "dedup/dedup.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dedup/member.h"
#include "dedup/minhash.h"
#include "dedup/shingle.h"
#include "dedup/sorter.h"
#include "dedup/spill.h"
#include "file/file.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_RECORDS 1024
#define BATCH_BYTES   ((size_t)8 << 20)
#define TAPE_MAX      ((size_t)1 << 20) /* what a task keeps for the next line */
#define MEMBERS       128
#define SET_MAX       65536
#define POLL          4096
#define RECORDS_MAX   (UINT64_C(1) << 31)
#define FLAG          UINT32_C(0x80000000)
#define PLACE_NUMBERS 3 /* span, chunk, line or row */

struct item { /* a record of the batch */
  size_t at, n;
  bool is_line, absent;
  uint64_t line; /* its number, for messages */
};
struct work { /* what a task makes of it */
  uint64_t exact[2], scope, order;
  struct shingles set;
  uint32_t *least;
  struct buf place, scratch, joined;
  struct json *tape;
  bool absent;
  int rc;
  struct err err;
};
struct head {          /* of record i; one more behind the last */
  uint64_t set, place; /* where they begin */
  uint64_t exact;
};
/* Clusters as a forest. Of a root FLAG says that it has members, of others that they are exact
 * copies of a member of their cluster. `best` of a root is the record that stays. */
struct record {
  uint32_t parent, best;
};

struct dedup {
  struct dedup_options o;
  char *scope; /* o.scope: the caller's string may go */
  struct minhash minhash;
  struct shingle_table *table;
  struct sorter *sorter;
  struct spill *sets, *heads, *places;
  struct buf text; /* of the batch */
  struct item items[BATCH_RECORDS];
  struct work work[BATCH_RECORDS];
  uint32_t *least; /* of all work */
  size_t batch;
  const char *path; /* of the lines in the batch */
  const char *const *fields;
  struct record *records;
  uint64_t n, cap;
  bool finished, ready;
  struct dedup_facts facts;
};

void dedup_defaults(struct dedup_options *o) {
  *o = (struct dedup_options){
      .near = 0.8, .ngram = 5, .memory = (size_t)256 << 20, .scratch = "/tmp"};
}

static int check_options(struct dedup_options *o, struct err *err) {
  if (!(o->near >= 0.0 && o->near <= 1.0))
    return err_set(err, ERR_MISUSE, "near: a similarity from 0 (exact only) to 1 expected");
  if (o->ngram < 1 || o->ngram > SHINGLE_WORDS_MAX)
    return err_set(err, ERR_MISUSE, "ngram: 1 to %d words expected", SHINGLE_WORDS_MAX);
  if (!o->rows != !o->bands)
    return err_set(err, ERR_MISUSE, "bands and rows: give both or neither");
  if (o->near > 0.0 && !o->rows) minhash_bands(o->near, &o->bands, &o->rows);
  if (o->near > 0.0 && (o->bands > MINHASH_MAX || o->rows > MINHASH_MAX / o->bands))
    return err_set(err, ERR_MISUSE, "bands × rows: at most %d", MINHASH_MAX);
  if (o->near > 0.0 && o->bands > 254) return err_set(err, ERR_MISUSE, "bands: at most 254");
  if (o->near == 0.0) o->bands = o->rows = 0;
  return 0;
}

static int make_store(struct spill **out, const struct dedup *d, const char *name, size_t memory,
                      struct err *err) {
  char path[4300];
  snprintf(path, sizeof path, "%s/dedup-%ld-%p.%s", d->o.scratch, (long)getpid(), (const void *)d,
           name);
  return spill_new(out, path, memory, err);
}

static int make_stores(struct dedup *d, struct err *err) {
  char prefix[4300];
  size_t memory = d->o.memory;
  if (!d->o.scratch) d->o.scratch = "/tmp";
  if (strlen(d->o.scratch) > 4000) return err_set(err, ERR_LIMIT, "scratch: too long a path");
  snprintf(prefix, sizeof prefix, "%s/dedup-%ld-%p", d->o.scratch, (long)getpid(), (void *)d);
  int rc = sorter_new(&d->sorter, prefix, memory / 2, err);
  if (!rc) rc = make_store(&d->sets, d, "sets", memory / 4, err);
  if (!rc) rc = make_store(&d->places, d, "places", memory / 8, err);
  if (!rc) rc = make_store(&d->heads, d, "heads", memory / 8, err);
  return rc;
}

static int make_work(struct dedup *d, struct err *err) {
  size_t count =
      (d->minhash.count + MINHASH_STEP - 1) / MINHASH_STEP * MINHASH_STEP * BATCH_RECORDS;
  if (d->o.near == 0.0) return 0;
  d->least = mem_array(count, sizeof *d->least);
  if (!d->least) return err_nomem(err, count * sizeof *d->least, "deduplication");
  for (size_t i = 0; i < BATCH_RECORDS; i++)
    d->work[i].least = d->least + count / BATCH_RECORDS * i;
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
  if (!rc) rc = make_stores(d, err);
  d->o.scratch = NULL; /* the caller's */
  if (!rc && (d->o.near > 0.0 || d->o.normalise))
    rc = shingle_table_new(&d->table, d->o.distinct_numbers, err);
  if (!rc) minhash_init(&d->minhash, d->o.bands * d->o.rows);
  if (!rc) rc = make_work(d, err);
  if (rc)
    dedup_free(d);
  else
    *out = d;
  return rc;
}

static void clear_work(struct work *w) {
  shingles_clear(&w->set);
  buf_clear(&w->place);
  buf_clear(&w->scratch);
  buf_clear(&w->joined);
  json_free(w->tape);
  w->tape = NULL;
}

void dedup_free(struct dedup *d) {
  if (!d) return;
  for (size_t i = 0; i < BATCH_RECORDS; i++) clear_work(&d->work[i]);
  shingle_table_free(d->table);
  sorter_free(d->sorter);
  spill_free(d->sets);
  spill_free(d->heads);
  spill_free(d->places);
  buf_clear(&d->text);
  mem_free(d->least);
  mem_free(d->records);
  mem_free(d->scope);
  mem_free(d);
}

void dedup_banding(const struct dedup *d, unsigned *bands, unsigned *rows) {
  *bands = d->o.bands;
  *rows = d->o.rows;
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
  w->rc = shingle_text(d->table, s, n, d->o.ngram, &w->set, &w->err);
  if (!w->rc) w->rc = shingles_unique(&w->set, &w->err);
  if (!w->rc && w->set.n) minhash_least(&d->minhash, w->set.v, w->set.n, w->least);
}

/* A hash of the member's value; 0 when there is none. */
static uint64_t scope_of(const struct json *j, const char *path) {
  size_t n = 0;
  json_id v = member_at(j, JSON_ROOT, path);
  const char *raw = v == JSON_NONE ? NULL : json_raw(j, v, &n);
  return raw ? hash_xxh3(raw, n, 1) | 1 : 0;
}

static void put_number(struct buf *b, uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8) buf_addc(b, (char)(v >> shift));
}

static void put_integer(struct buf *b, const struct json *j, json_id v) {
  int64_t n = 0;
  put_number(b, json_int(j, v, &n) && n > 0 ? (uint64_t)n : 0);
}

/* A string, or any other value as written; zero bytes, which end it, become U+0001. */
static void put_name(struct work *w, const struct json *j, json_id v) {
  size_t n = 0;
  const char *s = NULL;
  if (json_kind(j, v) == JSON_STRING)
    s = json_string(j, v, &w->scratch, &n);
  else if (json_kind(j, v) != JSON_NULL)
    s = json_raw(j, v, &n);
  for (size_t i = 0; i < n; i++) buf_addc(&w->place, s[i] ? s[i] : '\1');
  buf_addc(&w->place, 0);
}

/* The record's place as bytes that memcmp puts in order. */
static void place_of(struct work *w, const struct json *j) {
  json_id metadata = json_get(j, JSON_ROOT, "metadata");
  json_id span = json_get(j, metadata, "span");
  if (json_kind(j, span) != JSON_ARRAY) span = json_get(j, metadata, "origin_span");
  put_name(w, j, json_get(j, metadata, "path"));
  put_integer(&w->place, j, json_kind(j, span) == JSON_ARRAY ? json_at(j, span, 0) : JSON_NONE);
  put_integer(&w->place, j, json_get(j, metadata, "chunk"));
  json_id line = json_get(j, metadata, "line");
  put_integer(&w->place, j, line == JSON_NONE ? json_get(j, metadata, "row") : line);
  put_name(w, j, json_get(j, JSON_ROOT, "id"));
  put_number(&w->place, w->order);
}

static int join_string(void *arg, const char *s, size_t n, struct err *err) {
  struct work *w = arg;
  (void)err;
  buf_add(&w->joined, s, n);
  buf_addc(&w->joined, '\n');
  return 0;
}

/* The text of several fields. */
static const char *joined_text(const struct dedup *d, struct work *w, size_t *n) {
  buf_reset(&w->joined);
  w->rc = member_strings(w->tape, d->fields, join_string, w, &w->scratch, &w->err);
  if (!w->rc) w->rc = buf_check(&w->joined, "a record's text", &w->err);
  *n = w->joined.len;
  return *n ? w->joined.data : NULL;
}

static const char *field_text(const struct dedup *d, struct work *w, size_t *n) {
  json_id v = member_at(w->tape, JSON_ROOT, d->fields[0]);
  enum json_kind kind = json_kind(w->tape, v);
  if (kind == JSON_NULL) return NULL;
  if (kind != JSON_STRING) return json_raw(w->tape, v, n);
  const char *s = json_string(w->tape, v, &w->scratch, n);
  if (!s) w->rc = err_nomem(&w->err, *n, "a record's text");
  return s;
}

static void line_work(const struct dedup *d, struct work *w, const struct item *item) {
  size_t n = 0;
  w->order = hash_xxh3(d->text.data + item->at, item->n, 2);
  w->rc = json_parse_again(&w->tape, d->text.data + item->at, item->n, NULL, &w->err);
  if (!w->rc && json_kind(w->tape, JSON_ROOT) != JSON_OBJECT)
    w->rc = err_set(&w->err, ERR_FORMAT, "a JSON object expected");
  if (!w->rc) {
    place_of(w, w->tape);
    const char *s = d->fields[1] ? joined_text(d, w, &n) : field_text(d, w, &n);
    w->absent = !s;
    w->scope = d->o.scope ? scope_of(w->tape, d->o.scope) : 0;
    if (!w->rc && s) text_work(d, w, s, n);
  }
  if (w->rc) err_prefix(&w->err, "%s:%llu", d->path, (unsigned long long)item->line);
  if (w->tape && (w->rc || json_memory(w->tape) > TAPE_MAX)) {
    json_free(w->tape);
    w->tape = NULL;
  }
}

static void task(void *arg, size_t i) {
  struct dedup *d = arg;
  struct work *w = &d->work[i];
  const struct item *item = &d->items[i];
  w->set.n = 0;
  w->rc = 0;
  w->absent = item->absent;
  w->scope = 0;
  buf_reset(&w->place);
  if (item->is_line) {
    line_work(d, w, item);
  } else {
    w->order = rng_mix(d->n + i);
    buf_addc(&w->place, 0);
    for (int k = 1; k < PLACE_NUMBERS; k++) put_number(&w->place, 0);
    put_number(&w->place, d->n + i);
    buf_addc(&w->place, 0);
    put_number(&w->place, 0);
    if (!item->absent) text_work(d, w, d->text.data + item->at, item->n);
  }
  if (!w->rc) w->rc = buf_check(&w->place, "a record's place", &w->err);
  if (!w->rc) w->rc = buf_check(&w->scratch, "a record's text", &w->err);
}

static int grow_records(struct dedup *d, struct err *err) {
  if (d->n < d->cap) return 0;
  uint64_t cap = d->cap ? d->cap + d->cap / 2 : BATCH_RECORDS;
  if (d->n >= RECORDS_MAX - 1) return err_set(err, ERR_LIMIT, "more than 2^31 records");
  struct record *records = mem_rearray(d->records, (size_t)cap, sizeof *records);
  if (!records) return err_nomem(err, cap * sizeof *records, "deduplication");
  d->records = records;
  d->cap = cap;
  return 0;
}

static struct entry entry(const struct dedup *d, const struct work *w, unsigned band,
                          const uint64_t key[2]) {
  uint64_t k0 = key[0] ^ w->scope, k1 = key[1] ^ rng_mix(w->scope);
  return (struct entry){(uint64_t)band << 56 | k0 >> 8, k1 >> 32 << 32 | w->order >> 32,
                        w->order << 32 | d->n};
}

static int add_bands(struct dedup *d, const struct work *w, struct err *err) {
  int rc = 0;
  for (unsigned b = 0; b < d->o.bands && !rc; b++) {
    uint64_t key[2];
    hash_xxh3_128(w->least + (size_t)b * d->o.rows, d->o.rows * sizeof *w->least, b, key);
    rc = sorter_add(d->sorter, entry(d, w, b + 1, key), err);
  }
  return rc;
}

static int add_head(struct dedup *d, uint64_t exact, struct err *err) {
  struct head h = {spill_size(d->sets), spill_size(d->places), exact};
  return spill_add(d->heads, &h, sizeof h, err);
}

/* Takes over one record's results, in the order of the records. */
static int take(struct dedup *d, const struct work *w, struct err *err) {
  int rc = grow_records(d, err);
  if (rc) return rc;
  size_t n = w->absent ? 0 : w->set.n < SET_MAX ? w->set.n : SET_MAX;
  d->records[d->n] = (struct record){(uint32_t)d->n, (uint32_t)d->n};
  rc = add_head(d, w->absent ? 0 : w->exact[0] ^ w->exact[1] ^ w->scope, err);
  if (!rc && !w->absent) rc = sorter_add(d->sorter, entry(d, w, 0, w->exact), err);
  if (!rc && n) rc = add_bands(d, w, err);
  if (!rc && n && !d->o.unverified) rc = spill_add(d->sets, w->set.v, n * sizeof *w->set.v, err);
  if (!rc) rc = spill_add(d->places, w->place.data, w->place.len, err);
  if (rc) return rc;
  d->facts.shingles += w->absent ? 0 : w->set.n;
  d->facts.absent += w->absent;
  d->n++;
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
  for (size_t i = 0; i < n; i++) { /* memory is used again, unless a huge text needed much */
    if (d->work[i].set.cap * sizeof(uint32_t) > biggest) shingles_clear(&d->work[i].set);
    if (d->work[i].scratch.cap > biggest) buf_clear(&d->work[i].scratch);
    if (d->work[i].joined.cap > biggest) buf_clear(&d->work[i].joined);
  }
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

int dedup_add_lines(struct dedup *d, const char *path, const char *const *fields, uint64_t *records,
                    struct err *err) {
  struct lines *r = NULL;
  struct line line;
  uint64_t before = dedup_count(d);
  int rc = run_batch(d, err), got = 0; /* texts added before have no path to be named by */
  if (!rc) rc = lines_open(&r, path, 0, err);
  d->path = path;
  d->fields = fields;
  while (!rc && (got = lines_next_record(r, &line, err)) == 1) {
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
  d->path = NULL;
  d->fields = NULL;
  if (records) *records = dedup_count(d) - before;
  return rc;
}

/* ---- clusters ---- */

static uint32_t root(const struct dedup *d, uint32_t i) {
  struct record *r = d->records;
  uint32_t up;
  while ((up = r[i].parent & ~FLAG) != i) { /* every second node is hung one higher */
    uint32_t above = r[up].parent & ~FLAG;
    r[i].parent = (r[i].parent & FLAG) | above;
    i = above;
  }
  return i;
}

/* The earlier root becomes the root of both. */
static void join(struct dedup *d, uint32_t i, uint32_t j) {
  uint32_t a = root(d, i), b = root(d, j);
  if (a == b) return;
  uint32_t top = a < b ? a : b, below = a < b ? b : a;
  d->records[below].parent = top; /* a root is no copy: its flag goes */
  d->records[top].parent = top | FLAG;
}

static struct head head_of(const struct dedup *d, uint32_t i) {
  struct head h;
  memcpy(&h, spill_at(d->heads, i * (uint64_t)sizeof h), sizeof h);
  return h;
}

static const uint32_t *set_of(const struct dedup *d, uint32_t i, size_t *n) {
  uint64_t from = head_of(d, i).set;
  *n = (size_t)(head_of(d, i + 1).set - from) / sizeof(uint32_t);
  return spill_at(d->sets, from);
}

static const char *place(const struct dedup *d, uint32_t i, size_t *n) {
  uint64_t from = head_of(d, i).place;
  *n = (size_t)(head_of(d, i + 1).place - from);
  return spill_at(d->places, from);
}

static double similarity(const struct dedup *d, uint32_t i, uint32_t j) {
  size_t n, m;
  const uint32_t *a = set_of(d, i, &n), *b = set_of(d, j, &m);
  return n && m ? shingle_jaccard(a, n, b, m, SET_MAX) : 0.0;
}

struct group { /* members of equal keys, so far */
  uint64_t a, b;
  uint32_t member[MEMBERS]; /* that are to be compared with */
  unsigned n;
};

/* The first of a group of copies is their root, the others are marked as copies. */
static void exact_member(struct dedup *d, struct group *g, uint32_t id) {
  if (!g->n++) {
    g->member[0] = id;
    return;
  }
  d->records[id].parent = g->member[0] | FLAG;
  d->records[g->member[0]].parent = g->member[0] | FLAG;
  g->n = 1;
}

static bool is_copy(const struct dedup *d, uint32_t id) {
  uint32_t parent = d->records[id].parent;
  return (parent & FLAG) && (parent & ~FLAG) != id;
}

static void near_member(struct dedup *d, struct group *g, uint32_t id) {
  if (is_copy(d, id)) return;
  d->facts.candidates += g->n > 0;
  if (d->o.unverified) {
    if (g->n) join(d, g->member[0], id);
    g->member[0] = id;
    g->n = 1;
    return;
  }
  for (unsigned k = 0; k < g->n; k++) {
    if (root(d, g->member[k]) == root(d, id)) continue;
    d->facts.checked++;
    if (similarity(d, g->member[k], id) >= d->o.near) join(d, g->member[k], id);
  }
  if (g->n < MEMBERS) g->member[g->n++] = id;
}

static int clusters(struct dedup *d, struct err *err) {
  struct group g = {0};
  struct entry e;
  int got = 0, rc = 0;
  for (uint64_t i = 1; !rc && (got = sorter_next(d->sorter, &e, err)) == 1; i++) {
    if (e.a != g.a || e.b >> 32 != g.b) g = (struct group){.a = e.a, .b = e.b >> 32};
    if (e.a >> 56)
      near_member(d, &g, (uint32_t)e.id);
    else
      exact_member(d, &g, (uint32_t)e.id);
    if (i % POLL == 0) rc = cancel_check(err);
  }
  return got < 0 ? (err ? err->code : ERR_IO) : rc;
}

static bool before(const struct dedup *d, uint32_t i, uint32_t j) {
  size_t n, m;
  const char *a = place(d, i, &n), *b = place(d, j, &m);
  int order = memcmp(a, b, n < m ? n : m);
  return order ? order < 0 : n != m ? n < m : i < j;
}

static enum dedup_kind kind_of(const struct dedup *d, uint32_t i, uint32_t kept) {
  if (i == kept) return DEDUP_KEEP;
  return head_of(d, i).exact == head_of(d, kept).exact ? DEDUP_EXACT : DEDUP_NEAR;
}

/* Who stays of each cluster, and how many. */
static int settle(struct dedup *d, struct err *err) {
  struct record *r = d->records;
  for (uint32_t i = 0; i < d->n; i++) {
    uint32_t top = root(d, i);
    if (i != top && before(d, i, r[top].best)) r[top].best = i;
    if (i % POLL == 0 && cancel_check(err)) return ERR_CANCELLED;
  }
  for (uint32_t i = 0; i < d->n; i++) {
    enum dedup_kind kind = kind_of(d, i, r[root(d, i)].best);
    d->facts.kept += kind == DEDUP_KEEP;
    d->facts.exact += kind == DEDUP_EXACT;
    d->facts.near += kind == DEDUP_NEAR;
    d->facts.clusters += r[i].parent == (i | FLAG);
  }
  d->facts.records = d->n;
  d->facts.spilled = sorter_runs(d->sorter) + spill_on_disk(d->sets) + spill_on_disk(d->places) +
                     spill_on_disk(d->heads);
  return 0;
}

int dedup_finish(struct dedup *d, struct dedup_facts *facts, struct err *err) {
  if (d->finished) return err_set(err, ERR_MISUSE, "dedup: finished already");
  int rc = run_batch(d, err);
  d->finished = true;
  for (size_t i = 0; i < BATCH_RECORDS; i++) clear_work(&d->work[i]);
  if (!rc) rc = add_head(d, 0, err);
  if (!rc) rc = spill_seal(d->heads, err);
  if (!rc) rc = spill_seal(d->sets, err);
  if (!rc) rc = spill_seal(d->places, err);
  if (!rc) rc = sorter_sort(d->sorter, err);
  if (!rc) rc = clusters(d, err);
  if (!rc) rc = settle(d, err);
  if (rc) return rc;
  d->ready = true;
  if (facts) *facts = d->facts;
  return 0;
}

struct dedup_verdict dedup_verdict(const struct dedup *d, uint64_t i) {
  uint32_t id = (uint32_t)i, top = root(d, id), kept = d->records[top].best;
  struct dedup_verdict v = {kind_of(d, id, kept), kept, 1.0, 0};
  if (v.kind == DEDUP_NEAR) v.similarity = d->o.unverified ? 0.0 : similarity(d, id, kept);
  if (d->records[top].parent & FLAG) {
    size_t n;
    const char *s = place(d, kept, &n);
    v.cluster = hash_xxh3(s, n, 3);
  }
  return v;
}

const char *dedup_id(const struct dedup *d, uint64_t i) {
  size_t n;
  const char *s = place(d, (uint32_t)i, &n);
  return s + strlen(s) + 1 + 8 * PLACE_NUMBERS;
}
