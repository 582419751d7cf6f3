/* SPDX-License-Identifier: MIT */
/* What the files of training share; nobody else includes this.
 *
 *   texts ─ cutter ─► words                                     train_cut.c
 *               ▼
 *           tables of words, one a thread                       train_words.c
 *               │ full: sorted, written                         train_runs.c
 *               ▼
 *           runs on disk ─┬─ merge_next ─► word, count          train_runs.c   each word once
 *        tables in memory ┘
 *               ▼
 *           symbols: every word once, those of one count together   train_symbols.c
 *               ▼
 *           pairs, a heap, merges                               train_pairs.c, train_merge.c
 *               ▼
 *           tokenizer.json ─ tokenizer_load ─► the result       train_json.c, train.c
 */
#ifndef LATHE_TOKENIZER_TRAIN_H
#define LATHE_TOKENIZER_TRAIN_H

#include <stdatomic.h>

#include "base/pool.h"
#include "tokenizer/parts.h"

#define TRAIN_NONE UINT32_MAX
#define TRAIN_RUNS 64 /* run files that are read at once */

/* ---- train_words.c ---- distinct words and how often they occurred */

struct train_word {
  uint64_t hash, count;
  uint32_t at, len; /* in text */
};

struct train_words {
  struct buf text;
  struct train_word *list;
  size_t count, cap;
  struct train_slot {
    uint32_t tag, index; /* low half of the hash; place in list + 1, 0: empty */
  } * slots;             /* open addressing from the hash's upper bits, so nearly in its order */
  size_t slot_count;
  unsigned shift;
  size_t limit;            /* bytes, 0: none */
  struct train_runs *runs; /* where to go beyond it */
  uint64_t occurrences;
  uint32_t *order; /* places in list by (hash, length, bytes); made by words_sort */
};
int words_init(struct train_words *w, size_t limit, struct train_runs *runs, struct err *err);
void words_clear(struct train_words *w);
void words_reset(struct train_words *w); /* empties, keeps the memory */
/* The words of s that end at ends[0, count), count ≤ TRAIN_BATCH, the first of which begins at
 * `begin`. ERR_IO and such when a run had to be written and could not be. */
#define TRAIN_BATCH 256
int words_add(struct train_words *w, const char *s, size_t begin, const uint32_t *ends,
              size_t count, struct err *err);
int words_sort(struct train_words *w, struct err *err);
size_t words_bytes(const struct train_words *w);
uint64_t word_hash(const char *s, size_t n);

/* ---- train_cut.c ---- texts into words */

struct train_cutter;
struct train_scratch { /* of one thread; {0} to begin with */
  struct aligned normal;
  struct pieces words, spare;
};
/* The regular expression that options->pattern stands for; NULL: the one inside ByteLevel. */
const char *cutter_pattern(const struct tokenizer_train_options *options);
/* json: the tokenizer.json without merges. To be freed after a failure too. */
int cutter_new(struct train_cutter **out, const struct tokenizer_train_options *options,
               const struct buf *json, struct err *err);
void cutter_free(struct train_cutter *c);
void cut_scratch_clear(struct train_scratch *s);
/* Counts the words of a text. */
int cutter_count(const struct train_cutter *c, struct train_scratch *own, const char *s, size_t n,
                 struct train_words *words, struct err *err);
/* How much of the text may be cut off so that its words and those of the rest are the words of the
 * whole: n, or not less than `least` ≥ 1. */
size_t cutter_slice(const struct train_cutter *c, const char *s, size_t n, size_t least);

/* ---- train_runs.c ---- sorted words on disk, and the union of runs and tables */

struct train_runs {
  char *prefix; /* folder and beginning of the files' names; NULL: no disk */
  size_t first; /* runs [first, made) exist */
  atomic_size_t made;
};
int runs_init(struct train_runs *r, const char *folder, struct err *err);
void runs_clear(struct train_runs *r); /* removes the files */
/* The table's words become a run; the table is emptied. */
int runs_write(struct train_runs *r, struct train_words *w, struct err *err);
/* Merges until at most TRAIN_RUNS are left. */
int runs_reduce(struct train_runs *r, struct err *err);

struct train_source;
struct train_item {
  const char *word; /* valid until the next call */
  uint32_t len;
  uint64_t count;
};
struct train_union {
  struct train_source *sources;
  size_t source_count, *heap, heap_count;
  struct buf word;
};
/* Over all runs and the tables; each distinct word comes once, in order of (hash, length, bytes). */
int union_open(struct train_union *u, const struct train_runs *r, size_t runs,
               struct train_words *tables, size_t table_count, struct err *err);
/* 1 and *item, 0 at the end, −1 with err filled. */
int union_next(struct train_union *u, struct train_item *item, struct err *err);
void union_close(struct train_union *u);

/* ---- train_symbols.c ---- */

/* ids: SYMBOL_EDGE word SYMBOL_EDGE word … SYMBOL_EDGE. A token of n bytes takes n places: its id
 * stands in the first and in the last of them, SYMBOL_INSIDE in the others. So both neighbours of
 * a token are found in one step, and a merge touches nothing but its own places. */
#define SYMBOL_EDGE   UINT32_MAX
#define SYMBOL_INSIDE (UINT32_MAX - 1)

struct train_group { /* words that occurred equally often lie together, the most frequent first */
  uint64_t count;
  uint64_t words, bytes; /* of it: words of one byte have no pairs and no place */
  size_t start, end;     /* places in ids */
};
struct train_symbols {
  uint32_t *ids;
  size_t count;
  struct train_group *groups;
  size_t group_count, group_cap;
  uint32_t *slots; /* of the groups, while they are gathered */
  size_t slot_count;
  uint64_t distinct, forgotten_words, forgotten; /* the last: with repetitions */
};
/* Two passes over the words: how many there are of each count, then each to its place. limit: bytes
 * that ids may take, 0: none; the least frequent words are left out until the rest fits. */
int symbols_count(struct train_symbols *s, struct train_union *u, size_t limit, struct err *err);
int symbols_fill(struct train_symbols *s, struct train_union *u, const uint32_t id_of[256],
                 struct err *err);
size_t symbols_bytes(const struct train_symbols *s); /* after symbols_count: what ids will take */
void symbols_clear(struct train_symbols *s);

/* ---- train_pairs.c ---- */

struct train_pair {
  uint64_t key; /* left << 32 | right */
  int64_t count;
  uint32_t *at; /* places where it stood when they were noted, ascending; NULL: none */
  uint32_t n;
  bool own; /* `at` is an allocation of its own */
};
struct train_pairs {
  struct train_pair *list;
  size_t count, cap;
  uint32_t *slots;
  size_t slot_count;
};
static inline uint64_t pair_key(uint32_t left, uint32_t right) {
  return (uint64_t)left << 32 | right;
}
void pairs_clear(struct train_pairs *p);
void pairs_reset(struct train_pairs *p);
struct train_pair *pairs_find(const struct train_pairs *p, uint64_t key); /* NULL: not there */
/* Finds or makes; pointers to other pairs end with the next call. NULL: no memory. */
struct train_pair *pairs_put(struct train_pairs *p, uint64_t key);

struct train_heap {
  struct train_top {
    uint64_t count, key;
    uint32_t pair; /* in the list of pairs */
  } * list;
  size_t count, cap;
};
int heap_push(struct train_heap *h, struct train_top top, struct err *err);
void heap_pop(struct train_heap *h);
void heap_fix(struct train_heap *h); /* after the first one's count was lowered */

/* ---- train_merge.c ---- */

struct train_rule {
  uint32_t left, right;
};
struct train_model { /* what is learnt */
  struct vocab vocab;
  struct train_rule *merges;
  size_t merge_count, merge_cap;
};
/* Merges until the vocabulary is full or nothing is frequent enough. memory: what lists of places
 * may take, 0: no bound. */
int train_merge(struct train_model *model, struct train_symbols *s,
                const struct tokenizer_train_options *options, size_t memory, struct err *err);

/* ---- train_json.c ---- */

/* What options->pattern, normalizer, bos and eos come to, checked. */
int train_json(const struct tokenizer_train_options *options, const struct train_model *model,
               struct buf *out, struct err *err);

#endif
