/* SPDX-License-Identifier: MIT */
/* External sort; see sorter.h.
 *
 * In memory: a radix sort by a, eleven bits a pass, then the few neighbours whose a is equal are
 * put in order of (b, id). A run file is the eight bytes of its magic (so that its first bytes are
 * never mistaken for a compressed stream's), then entries as they lie in memory: it never leaves
 * this process. When MERGE_MAX runs have gathered, they are merged into one.
 *
 * The merge is a binary heap over the heads of the runs.
 */
#include "dedup/sorter.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAGIC     "lathe-rn"
#define MERGE_MAX 64
#define LEAST     ((size_t)1 << 20)
#define BLOCK_MIN 64 /* entries of a run held while merging */
#define BLOCK_MAX 8192
#define POLL      (1u << 16)

struct source { /* a run being read; without a stream, the buffer itself */
  struct stream *stream;
  struct entry *block;
  size_t at, have;
  bool owned;
};

struct sorter {
  char *prefix;
  struct entry *buffer, *spare; /* cap entries each; spare only while sorting */
  size_t n, cap, room;          /* room: the most entries the ceiling allows */
  size_t runs, made;            /* live run files: numbers made − runs … made − 1 */
  bool sorted;
  struct source sources[MERGE_MAX + 1];
  size_t heap[MERGE_MAX + 1], heap_n, source_n;
};

int sorter_new(struct sorter **out, const char *prefix, size_t memory, struct err *err) {
  struct sorter *s = mem_zero(sizeof *s);
  *out = s;
  if (!s) return err_nomem(err, sizeof *s, "sorting");
  s->prefix = mem_strdup(prefix);
  s->room = (memory > LEAST ? memory : LEAST) / (2 * sizeof(struct entry));
  if (s->prefix) return 0;
  sorter_free(s);
  *out = NULL;
  return err_nomem(err, 0, "sorting");
}

static char *run_path(const struct sorter *s, size_t number) {
  size_t n = strlen(s->prefix) + 32;
  char *path = mem_alloc(n);
  if (path) snprintf(path, n, "%s.run-%zu", s->prefix, number);
  return path;
}

static void remove_runs(struct sorter *s, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *path = run_path(s, s->made - s->runs + i);
    if (path) file_unlink(path, NULL);
    mem_free(path);
  }
}

static void close_sources(struct sorter *s) {
  for (size_t i = 0; i < s->source_n; i++) {
    stream_close(s->sources[i].stream);
    if (s->sources[i].owned) mem_free(s->sources[i].block);
  }
  s->source_n = s->heap_n = 0;
}

void sorter_free(struct sorter *s) {
  if (!s) return;
  close_sources(s);
  if (s->prefix) remove_runs(s, s->runs);
  mem_free(s->buffer);
  mem_free(s->spare);
  mem_free(s->prefix);
  mem_free(s);
}

size_t sorter_runs(const struct sorter *s) {
  return s->made;
}

/* ---- in memory ---- */

static bool less(const struct entry *x, const struct entry *y) {
  if (x->a != y->a) return x->a < y->a;
  if (x->b != y->b) return x->b < y->b;
  return x->id < y->id;
}

static void sift_down(struct entry *v, size_t at, size_t n) {
  struct entry x = v[at];
  for (size_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && less(&v[child], &v[child + 1])) child++;
    if (!less(&x, &v[child])) break;
    v[at] = v[child];
  }
  v[at] = x;
}

/* In order of (b, id): heap sort, for a group may be everything there is. */
static void order_many(struct entry *v, size_t n) {
  for (size_t i = n / 2; i-- > 0;) sift_down(v, i, n);
  for (size_t i = n; i-- > 1;) {
    struct entry x = v[0];
    v[0] = v[i];
    v[i] = x;
    sift_down(v, 0, i);
  }
}

static void order_few(struct entry *v, size_t n) {
  for (size_t i = 1; i < n; i++) {
    struct entry x = v[i];
    size_t j = i;
    for (; j > 0 && less(&x, &v[j - 1]); j--) v[j] = v[j - 1];
    v[j] = x;
  }
}

/* Entries with equal a, in order of (b, id): nearly always a few. */
static void order_equals(struct entry *v, size_t n) {
  for (size_t from = 0, to; from < n; from = to) {
    for (to = from + 1; to < n && v[to].a == v[from].a;) to++;
    if (to - from > 16)
      order_many(v + from, to - from);
    else
      order_few(v + from, to - from);
  }
}

static void radix_pass(const struct entry *from, struct entry *to, size_t n, unsigned shift) {
  size_t counts[2048] = {0}, at = 0;
  for (size_t i = 0; i < n; i++) counts[from[i].a >> shift & 2047]++;
  for (size_t d = 0; d < 2048; d++) {
    size_t c = counts[d];
    counts[d] = at;
    at += c;
  }
  for (size_t i = 0; i < n; i++) to[counts[from[i].a >> shift & 2047]++] = from[i];
}

static int sort_buffer(struct sorter *s, struct err *err) {
  uint64_t differ = 0;
  for (size_t i = 1; i < s->n; i++) differ |= s->buffer[i].a ^ s->buffer[0].a;
  mem_free(s->spare);
  s->spare = mem_array(s->n, sizeof *s->spare);
  if (!s->spare) return err_nomem(err, s->n * sizeof *s->spare, "sorting");
  struct entry *from = s->buffer, *to = s->spare;
  for (unsigned shift = 0; shift < 64; shift += 11) {
    if (!(differ >> shift & 2047)) continue;
    radix_pass(from, to, s->n, shift);
    struct entry *swap = from;
    from = to;
    to = swap;
  }
  if (from != s->buffer) memcpy(s->buffer, from, s->n * sizeof *from);
  mem_free(s->spare);
  s->spare = NULL;
  order_equals(s->buffer, s->n);
  return cancel_check(err);
}

/* ---- run files ---- */

static int open_run(struct sorter *s, size_t number, size_t block, struct err *err) {
  char *path = run_path(s, number), magic[8];
  struct source *r = &s->sources[s->source_n];
  *r = (struct source){.owned = true};
  if (!path) return err_nomem(err, 0, "sorting");
  int rc = stream_open(&r->stream, path, err);
  mem_free(path);
  if (rc) return rc;
  s->source_n++;
  r->block = mem_array(block, sizeof *r->block);
  if (!r->block) return err_nomem(err, block * sizeof *r->block, "sorting");
  size_t got = 0;
  while (got < sizeof magic) {
    long long n = stream_read(r->stream, magic + got, sizeof magic - got, err);
    if (n < 0) return err ? err->code : ERR_IO;
    if (n == 0) return err_set(err, ERR_FORMAT, "a temporary file of the sort is empty");
    got += (size_t)n;
  }
  return 0;
}

/* Reads the next block when this one is used up; have = 0 at the end. */
static int refill(struct source *r, size_t block, struct err *err) {
  if (r->at < r->have) return 0;
  size_t got = 0, want = block * sizeof *r->block;
  r->at = r->have = 0;
  while (r->stream && got < want) {
    long long n = stream_read(r->stream, (char *)r->block + got, want - got, err);
    if (n < 0) return err ? err->code : ERR_IO;
    if (n == 0) break;
    got += (size_t)n;
  }
  if (got % sizeof *r->block)
    return err_set(err, ERR_FORMAT, "a temporary file of the sort was cut short");
  r->have = got / sizeof *r->block;
  return 0;
}

static const struct entry *head(const struct sorter *s, size_t heap_at) {
  const struct source *r = &s->sources[s->heap[heap_at]];
  return &r->block[r->at];
}

static void sift(struct sorter *s, size_t at) {
  for (;;) {
    size_t least = at, left = 2 * at + 1;
    for (size_t k = left; k < left + 2 && k < s->heap_n; k++)
      if (less(head(s, k), head(s, least))) least = k;
    if (least == at) return;
    size_t swap = s->heap[at];
    s->heap[at] = s->heap[least];
    s->heap[least] = swap;
    at = least;
  }
}

static size_t block_size(const struct sorter *s) {
  size_t block = s->room / (2 * (s->runs + 1));
  return block < BLOCK_MIN ? BLOCK_MIN : block > BLOCK_MAX ? BLOCK_MAX : block;
}

/* Opens all runs; the heap then has the least entry on top. */
static int open_merge(struct sorter *s, struct err *err) {
  size_t block = block_size(s);
  int rc = 0;
  for (size_t i = 0; i < s->runs && !rc; i++) {
    rc = open_run(s, s->made - s->runs + i, block, err);
    if (!rc) rc = refill(&s->sources[i], block, err);
    if (!rc && s->sources[i].have) s->heap[s->heap_n++] = i;
  }
  if (rc) return rc;
  if (s->n) {
    s->sources[s->source_n] = (struct source){.block = s->buffer, .have = s->n};
    s->heap[s->heap_n++] = s->source_n++;
  }
  for (size_t i = s->heap_n; i-- > 0;) sift(s, i);
  return 0;
}

int sorter_next(struct sorter *s, struct entry *e, struct err *err) {
  if (!s->heap_n) return 0;
  struct source *r = &s->sources[s->heap[0]];
  *e = r->block[r->at++];
  if (r->at == r->have && refill(r, block_size(s), err)) return -1;
  if (!r->have) s->heap[0] = s->heap[--s->heap_n];
  sift(s, 0);
  return 1;
}

static int write_run(struct sorter *s, bool merged, struct err *err) {
  char *path = run_path(s, s->made);
  struct file_replace *w = NULL;
  struct entry e;
  int got = 0;
  if (!path) return err_nomem(err, 0, "sorting");
  int rc = file_replace_open(&w, path, FILE_NO_SYNC, err);
  if (!rc) rc = file_replace_write(w, MAGIC, 8, err);
  if (!rc && !merged) rc = file_replace_write(w, s->buffer, s->n * sizeof *s->buffer, err);
  for (unsigned i = 1; !rc && merged; i++) {
    if ((got = sorter_next(s, &e, err)) <= 0) break;
    rc = file_replace_write(w, &e, sizeof e, err);
    if (!rc && i % POLL == 0) rc = cancel_check(err);
  }
  if (got < 0) rc = err ? err->code : ERR_IO;
  if (!rc) rc = file_replace_commit(w, err);
  file_replace_close(w);
  mem_free(path);
  return rc;
}

/* All runs become one. */
static int merge_runs(struct sorter *s, struct err *err) {
  int rc = open_merge(s, err);
  if (!rc) rc = write_run(s, true, err);
  close_sources(s);
  if (rc) return rc;
  remove_runs(s, s->runs);
  s->made++;
  s->runs = 1;
  return 0;
}

static int spill(struct sorter *s, struct err *err) {
  int rc = sort_buffer(s, err);
  if (!rc) rc = write_run(s, false, err);
  if (rc) return rc;
  s->made++;
  s->runs++;
  s->n = 0;
  return s->runs == MERGE_MAX ? merge_runs(s, err) : 0;
}

int sorter_add(struct sorter *s, struct entry e, struct err *err) {
  if (s->n == s->room) {
    int rc = spill(s, err);
    if (rc) return rc;
  }
  if (s->n == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 1024;
    if (cap > s->room) cap = s->room;
    struct entry *v = mem_rearray(s->buffer, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "sorting");
    s->buffer = v;
    s->cap = cap;
  }
  s->buffer[s->n++] = e;
  return 0;
}

int sorter_sort(struct sorter *s, struct err *err) {
  int rc = sort_buffer(s, err);
  s->sorted = !rc;
  return rc ? rc : open_merge(s, err);
}
