/* SPDX-License-Identifier: MIT */
/* Runs: words with counts on disk, sorted, and the union of all runs and tables.
 *
 *   run:  "lathe-wd" ( count u64, length u32, bytes )*        in order of (hash, length, bytes)
 *
 * The order means nothing but that it is the same everywhere. A run never leaves the process that
 * wrote it, so numbers lie in it as they lie in memory; the magic keeps its first bytes from being
 * taken for those of a compressed stream.
 *
 * The union is a binary heap over the heads of its sources; equal words are added up.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"
#include "tokenizer/train.h"

#define MAGIC  "lathe-wd"
#define HEADER 12
#define BLOCK  ((size_t)128 << 10)

struct train_source {
  const struct train_words *table; /* or, when NULL, a run: */
  struct stream *stream;
  struct buf block;
  size_t next; /* place in the table's order; in block */
  uint64_t hash, count;
  const char *word;
  uint32_t len;
};

int runs_init(struct train_runs *r, const char *folder, struct err *err) {
  *r = (struct train_runs){0};
  if (!folder) return 0;
  size_t n = strlen(folder) + 64;
  if (!(r->prefix = mem_alloc(n))) return err_nomem(err, n, "training");
  snprintf(r->prefix, n, "%s/words-%ld", folder, (long)getpid());
  return 0;
}

static char *run_path(const struct train_runs *r, size_t number) {
  size_t n = strlen(r->prefix) + 32;
  char *path = mem_alloc(n);
  if (path) snprintf(path, n, "%s.run-%zu", r->prefix, number);
  return path;
}

static void remove_runs(struct train_runs *r, size_t end) {
  for (; r->first < end; r->first++) {
    char *path = run_path(r, r->first);
    if (path) file_unlink(path, NULL);
    mem_free(path);
  }
}

void runs_clear(struct train_runs *r) {
  if (r->prefix) remove_runs(r, atomic_load(&r->made));
  mem_free(r->prefix);
  r->prefix = NULL;
}

/* ---- writing ---- */

struct writer {
  struct file_replace *file;
  struct buf block;
};

static int writer_open(struct writer *w, struct train_runs *r, struct err *err) {
  *w = (struct writer){0};
  char *path = run_path(r, atomic_fetch_add(&r->made, 1));
  if (!path) return err_nomem(err, 0, "training");
  int rc = file_replace_open(&w->file, path, FILE_NO_SYNC | FILE_PRIVATE, err);
  mem_free(path);
  buf_adds(&w->block, MAGIC);
  return rc;
}

static int writer_flush(struct writer *w, struct err *err) {
  int rc = buf_check(&w->block, "a run of words", err);
  if (!rc) rc = file_replace_write(w->file, w->block.data, w->block.len, err);
  buf_reset(&w->block);
  return rc ? rc : cancel_check(err);
}

static int writer_put(struct writer *w, const char *word, uint32_t len, uint64_t count,
                      struct err *err) {
  char header[HEADER];
  memcpy(header, &count, 8);
  memcpy(header + 8, &len, 4);
  buf_add(&w->block, header, HEADER);
  buf_add(&w->block, word, len);
  return w->block.len >= BLOCK ? writer_flush(w, err) : 0;
}

static int writer_commit(struct writer *w, struct err *err) {
  int rc = writer_flush(w, err);
  return rc ? rc : file_replace_commit(w->file, err);
}

static void writer_close(struct writer *w) {
  file_replace_close(w->file);
  buf_clear(&w->block);
}

int runs_write(struct train_runs *r, struct train_words *w, struct err *err) {
  struct writer out;
  int rc = words_sort(w, err);
  if (rc) return rc;
  rc = writer_open(&out, r, err);
  for (size_t i = 0; i < w->count && !rc; i++) {
    const struct train_word *word = &w->list[w->order[i]];
    rc = writer_put(&out, w->text.data + word->at, word->len, word->count, err);
  }
  if (!rc) rc = writer_commit(&out, err);
  writer_close(&out);
  if (!rc) words_reset(w);
  return rc;
}

/* ---- sources ---- */

/* Makes n unread bytes lie in the block; false when the run ends before. */
static int fill(struct train_source *s, size_t n, bool *there, struct err *err) {
  *there = true;
  if (s->block.len - s->next >= n) return 0;
  size_t rest = s->block.len - s->next;
  if (rest) memmove(s->block.data, s->block.data + s->next, rest);
  s->block.len = rest;
  s->next = 0;
  if (buf_reserve(&s->block, n > BLOCK ? n : BLOCK)) return err_nomem(err, n, "a run of words");
  while (s->block.len < n) {
    long long got =
        stream_read(s->stream, s->block.data + s->block.len, s->block.cap - s->block.len - 1, err);
    if (got < 0) return err ? err->code : ERR_IO;
    if (!got) break;
    s->block.len += (size_t)got;
  }
  *there = s->block.len >= n;
  return 0;
}

static int cut_short(struct err *err) {
  return err_set(err, ERR_FORMAT, "a temporary file of the training was cut short");
}

/* 1 and the source's head is set, 0 at its end, −1 with err filled. */
static int run_next(struct train_source *s, struct err *err) {
  bool there;
  if (fill(s, HEADER, &there, err)) return -1;
  if (!there) return s->block.len == 0 ? 0 : (cut_short(err), -1);
  memcpy(&s->count, s->block.data + s->next, 8);
  memcpy(&s->len, s->block.data + s->next + 8, 4);
  s->next += HEADER;
  if (fill(s, s->len, &there, err)) return -1;
  if (!there) return cut_short(err), -1;
  s->word = s->block.data + s->next;
  s->next += s->len;
  s->hash = word_hash(s->word, s->len);
  return 1;
}

static int source_next(struct train_source *s, struct err *err) {
  if (!s->table) return run_next(s, err);
  if (s->next == s->table->count) return 0;
  const struct train_word *word = &s->table->list[s->table->order[s->next++]];
  s->hash = word->hash;
  s->count = word->count;
  s->len = word->len;
  s->word = s->table->text.data + word->at;
  return 1;
}

static int open_run(struct train_source *s, const struct train_runs *r, size_t number,
                    struct err *err) {
  bool there;
  char *path = run_path(r, number);
  if (!path) return err_nomem(err, 0, "training");
  int rc = stream_open(&s->stream, path, err);
  mem_free(path);
  if (!rc) rc = fill(s, strlen(MAGIC), &there, err);
  if (!rc && !there) rc = cut_short(err);
  s->next = strlen(MAGIC);
  return rc;
}

/* ---- the union ---- */

static int compare(const struct train_source *a, const struct train_source *b) {
  if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
  if (a->len != b->len) return a->len < b->len ? -1 : 1;
  return memcmp(a->word, b->word, a->len);
}

static void sift(struct train_union *u, size_t at) {
  for (;;) {
    size_t least = at, left = 2 * at + 1;
    for (size_t k = left; k < left + 2 && k < u->heap_count; k++)
      if (compare(&u->sources[u->heap[k]], &u->sources[u->heap[least]]) < 0) least = k;
    if (least == at) return;
    size_t swap = u->heap[at];
    u->heap[at] = u->heap[least];
    u->heap[least] = swap;
    at = least;
  }
}

int union_open(struct train_union *u, const struct train_runs *r, size_t runs,
               struct train_words *tables, size_t table_count, struct err *err) {
  *u = (struct train_union){0};
  size_t count = runs + table_count;
  int rc = 0;
  u->sources = mem_zeros(count, sizeof *u->sources);
  u->heap = mem_array(count, sizeof *u->heap);
  if (!u->sources || !u->heap) return err_nomem(err, count * sizeof *u->sources, "training");
  for (; u->source_count < count && !rc; u->source_count++) {
    struct train_source *s = &u->sources[u->source_count];
    if (u->source_count < runs) {
      rc = open_run(s, r, r->first + u->source_count, err);
    } else {
      struct train_words *w = &tables[u->source_count - runs];
      s->table = w;
      rc = words_sort(w, err);
    }
    int got = rc ? 0 : source_next(s, err);
    if (got < 0) rc = err ? err->code : ERR_IO;
    if (got > 0) u->heap[u->heap_count++] = u->source_count;
  }
  for (size_t i = u->heap_count; i-- > 0;) sift(u, i);
  return rc;
}

void union_close(struct train_union *u) {
  for (size_t i = 0; i < u->source_count; i++) {
    stream_close(u->sources[i].stream);
    buf_clear(&u->sources[i].block);
  }
  mem_free(u->sources);
  mem_free(u->heap);
  buf_clear(&u->word);
  *u = (struct train_union){0};
}

/* The head of the heap moves on. */
static int advance(struct train_union *u, struct err *err) {
  int got = source_next(&u->sources[u->heap[0]], err);
  if (got < 0) return -1;
  if (!got) u->heap[0] = u->heap[--u->heap_count];
  sift(u, 0);
  return 0;
}

int union_next(struct train_union *u, struct train_item *item, struct err *err) {
  if (!u->heap_count) return 0;
  struct train_source first = u->sources[u->heap[0]];
  buf_reset(&u->word);
  buf_add(&u->word, first.word, first.len);
  if (buf_check(&u->word, "words", err)) return -1;
  *item = (struct train_item){u->word.data, first.len, 0};
  first.word = u->word.data;
  do {
    item->count += u->sources[u->heap[0]].count;
    if (advance(u, err)) return -1;
  } while (u->heap_count && !compare(&first, &u->sources[u->heap[0]]));
  return 1;
}

/* ---- fewer runs ---- */

static int merge_first(struct train_runs *r, size_t count, struct err *err) {
  struct train_union u;
  struct train_item item;
  struct writer out = {0};
  int got = 0, rc = union_open(&u, r, count, NULL, 0, err);
  if (!rc) rc = writer_open(&out, r, err);
  while (!rc && (got = union_next(&u, &item, err)) > 0)
    rc = writer_put(&out, item.word, item.len, item.count, err);
  if (got < 0) rc = err ? err->code : ERR_IO;
  if (!rc) rc = writer_commit(&out, err);
  writer_close(&out);
  union_close(&u);
  if (!rc) remove_runs(r, r->first + count);
  return rc;
}

int runs_reduce(struct train_runs *r, struct err *err) {
  int rc = 0;
  while (!rc && atomic_load(&r->made) - r->first > TRAIN_RUNS) rc = merge_first(r, TRAIN_RUNS, err);
  return rc;
}
