/* SPDX-License-Identifier: MIT */
/* Words that were already encoded, found again many at once; for words.c, cuts.c and batch.c. What
 * that looks like in memory is told in cache.c. */
#ifndef LATHE_TOKENIZER_CACHE_H
#define LATHE_TOKENIZER_CACHE_H

#include <string.h>

#include "tokenizer/parts.h"
#include "tokenizer/scan.h"

#define CACHE_TINY  7u   /* bytes of a word that is its own key */
#define CACHE_SHORT 16u  /* bytes of a word whose key comes from two loads */
#define CACHE_LONG  255u /* bytes of a word that is kept at all */
#define CACHE_WAYS  8u   /* slots of a bucket: one line of the processor's cache */

/* One thread's cache. Several may share the table and the arena of the first of them; what they all
 * write then stands in that one, and each has a line of memory for what is its own. */
struct cache {
  /* 2^(bits + 1) buckets, first those of tiny words, then those of longer ones */
  _Alignas(64) uint64_t *slots;
  uint64_t upper; /* the bits of a slot that are the word's; those below are the value */
  unsigned bits;
  uint32_t ids;        /* values from 1 to this are an id + 1; those above, places in the arena */
  uint64_t *arena;     /* records */
  size_t cap;          /* of it, in units of 8 bytes */
  size_t at, end;      /* room in it for this thread's next records */
  struct cache *first; /* whose memory it is; mostly its own */
  bool apart;          /* parts of words and words may have other tokens */
  bool shared;         /* words are only added, until cache_share */
  unsigned next;       /* which slot of a full bucket goes next; not when shared */
  size_t taken[2];     /* slots, of tiny words and of longer ones, by this thread */
  /* of `first`: read by all, seldom written */
  _Alignas(64) struct cuts *cuts; /* NULL: not yet, or they cannot be had; cache_cuts reads it */
  uint32_t misses;                /* counted until there are cuts */
  bool full;                      /* nothing more is kept; cache_is_full reads it */
  /* of `first`: written by all */
  _Alignas(64) size_t used; /* of the arena */
};

static inline const struct cuts *cache_cuts(const struct cache *c) {
  return __atomic_load_n(&c->first->cuts, __ATOMIC_ACQUIRE);
}
static inline bool cache_is_full(const struct cache *c) {
  return __atomic_load_n(&c->first->full, __ATOMIC_RELAXED);
}

/* What is looked up together: words, or parts of words, of up to CACHE_LONG bytes. */
struct cache_batch {
  size_t count, found;         /* words; how many were looked for */
  size_t longer, lacks;        /* how many are not tiny; how many were not found */
  uint64_t mixed[WORDS_BATCH]; /* their keys, without what names the bucket */
  const char *words[WORDS_BATCH];
  uint32_t bucket[WORDS_BATCH];  /* where they would stand */
  uint32_t values[WORDS_BATCH];  /* found; 0: none */
  uint16_t others[WORDS_BATCH];  /* which are not tiny */
  uint16_t lacking[WORDS_BATCH]; /* which were not found */
  uint8_t lens[WORDS_BATCH];
};

/* Tables for a tokenizer with that many ids, if there are none yet; apart: parts are not taken for
 * words. False: there is no memory. */
bool cache_ready(struct cache *c, size_t ids, bool apart);
/* Makes the caches of `count` threads one, for so many bytes of text more: what is full is emptied, and
 * it gets the size that it keeps until the next time. The memory is that of all[0], which outlives the
 * use of the others; those have kept nothing before. Called by one thread while no other uses them.
 * False: there is no memory for any; for less than wanted, less is kept. */
bool cache_share(struct cache *const *all, size_t count, size_t ids, bool apart, size_t bytes);
/* Forgets all words. Not while it is shared. */
void cache_empty(struct cache *c);
/* The values of the words that were put into a batch since the last time; those of longer words need
 * cache_is. Records are asked for meanwhile. */
void cache_find_all(const struct cache *c, struct cache_batch *b);
void cache_find_all_with(enum scan_masks how, const struct cache *c, struct cache_batch *b);
#define CACHE_AHEAD 256 /* so many words are put into a batch before they are looked for */
/* That of one word. */
uint32_t cache_find(const struct cache *c, size_t n, uint64_t mixed);
/* Keeps a word's ids, if it is not there already. Returns its value; 0: there is no room. */
uint32_t cache_keep(struct cache *c, const char *word, size_t n, bool part, uint64_t mixed,
                    const uint32_t *ids, size_t count);

/* ---- keys ---- */

/* By a word's length: which bytes of the sixteen loaded are the word's, and what tells the length. */
extern const uint64_t cache_masks[CACHE_SHORT + 1][4];

/* The key of a short word; 16 bytes are readable. A tiny word's is its own and no other's: 58 bits
 * that an odd factor permutes. */
static inline uint64_t cache_key(const char *word, size_t n, bool part) {
  uint64_t low, high;
  memcpy(&low, word, 8);
  memcpy(&high, word + 8, 8);
  low =
      (low & cache_masks[n][0]) | cache_masks[n][1] | (n <= CACHE_TINY ? (uint64_t)part << 57 : 0);
  high = (high & cache_masks[n][2]) + cache_masks[n][3] + (n > CACHE_TINY ? part : 0);
  low ^= high * 0xD6E8FEB86659FD93u;
  return (low ^ low >> 29) * (0x9E3779B97F4A7C15u << 6);
}

/* The key of any word; memory is readable up to `end`. */
uint64_t cache_key_of(const char *word, size_t n, const char *end, bool part);

static inline uint32_t cache_bucket(const struct cache *c, size_t n, uint64_t mixed) {
  return (uint32_t)(mixed >> (64 - c->bits)) | (uint32_t)(n > CACHE_TINY) << c->bits;
}

static inline void cache_batch_reset(struct cache_batch *b) {
  b->count = b->longer = b->found = b->lacks = 0;
}

/* Puts a word into a batch that is not full, and asks for its bucket. */
static inline __attribute__((always_inline)) void cache_batch_add(const struct cache *c,
                                                                  struct cache_batch *b,
                                                                  uint64_t mixed, const char *word,
                                                                  size_t n, bool part) {
  size_t i = b->count++;
  uint32_t bucket = cache_bucket(c, n, mixed);
  __builtin_prefetch(&c->slots[bucket * CACHE_WAYS]);
  b->mixed[i] = mixed << c->bits | part;
  b->bucket[i] = bucket;
  b->words[i] = word;
  b->lens[i] = (uint8_t)n;
  b->others[b->longer] = (uint16_t)i;
  b->longer += n > CACHE_TINY;
}

static inline bool cache_batch_part(const struct cache_batch *b, size_t i) {
  return b->mixed[i] & 1;
}

/* ---- records ---- head: bytes of the word, PART, count; then its bytes; then its ids */

#define RECORD_PART ((uint64_t)1 << 31)

static inline const uint64_t *cache_record(const struct cache *c, uint32_t value) {
  return c->arena + (value - c->ids - 1);
}
static inline size_t record_count(const uint64_t *record) {
  return (size_t)(*record >> 32);
}
static inline size_t record_bytes(const uint64_t *record) {
  return (size_t)(*record & (RECORD_PART - 1));
}
static inline const uint32_t *record_ids(const uint64_t *record) {
  return (const uint32_t *)(record + 1 + (record_bytes(record) + 7) / 8);
}
/* Whether a value found for a longer word is that of the word. */
static inline bool cache_is(const struct cache *c, uint32_t value, const char *word, size_t n,
                            const char *end, bool part) {
  uint64_t low, high;
  if (value <= c->ids) return false;
  const uint64_t *record = cache_record(c, value);
  if ((uint32_t)*record != (n | (part ? RECORD_PART : 0))) return false;
  if (n < 8 || n > CACHE_SHORT || end - word < (ptrdiff_t)CACHE_SHORT)
    return !memcmp(record + 1, word, n);
  memcpy(&low, word, 8);
  memcpy(&high, word + 8, 8);
  return low == record[1] && (n == 8 || (high & cache_masks[n][2]) == record[2]);
}

#endif
