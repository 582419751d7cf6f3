/* SPDX-License-Identifier: MIT */
/* Words → ids. Words repeat, so a cache (cache.c) remembers what the model made of them.
 *
 *   words ─ keys ─► a batch of 256 ─ values ─► ids      first the lines of memory are asked for, then
 *              └ asked for: slots ┘ └ records           they are read: nothing waits for one word alone
 *
 * A word that is longer than sixteen bytes and has places that no token crosses (cuts.c) goes into the
 * batch as its parts, which are more often known than it is itself.
 */
#include <string.h>

#include "base/cancel.h"
#include "tokenizer/bpe.h"
#include "tokenizer/cache.h"

/* ---- ids out ---- */

/* The tokens of a word lie end to end in the text, so their lengths tell their places. */
static void add_spans(const struct words *j, size_t first, uint64_t at) {
  struct tokens *out = j->out;
  for (size_t i = first; i < out->count; i++) {
    uint32_t len = j->lengths[out->ids[i]];
    out->spans[i] = (struct token_span){at, at + len};
    at += len;
  }
}

static int append(const struct words *j, const uint32_t *ids, size_t count, uint64_t at) {
  struct tokens *out = j->out;
  int rc = tokens_reserve(out, count, j->spans, j->err);
  if (rc) return rc;
  size_t first = out->count;
  memcpy(out->ids + first, ids, count * sizeof *ids);
  out->count += count;
  if (j->spans) add_spans(j, first, at);
  return 0;
}

static int append_record(const struct words *j, uint32_t value, uint64_t at) {
  const uint64_t *record = cache_record(j->w->cache, value);
  return append(j, record_ids(record), record_count(record), at);
}

/* ---- many words ---- */

#define INLINE     static inline __attribute__((always_inline))
#define INLINE_IDS 4 /* of a record: as many are copied whether it has them or not */

/* Longer words whose record is another word's are not found after all. */
static void check_longer(const struct cache *c, struct cache_batch *b, const char *s, size_t start,
                         const char *end) {
  for (size_t i = 0; i < b->longer; i++) {
    size_t k = b->others[i], from = k ? b->ends[k - 1] : start;
    if (!b->values[k]) continue;
    if (!cache_is(c, b->values[k], s + from, b->ends[k] - from, end, b->part[k] && c->apart))
      b->values[k] = 0;
  }
}

/* Appends the ids of the words from *i on that are found and have few. */
INLINE void take_found(const struct words *j, const struct cache_batch *b, size_t *i,
                       bool counting) {
  const struct cache *c = j->w->cache;
  const uint64_t *arena = c->arena;
  uint32_t ids = c->ids, *out = j->out->ids + j->out->count;
  size_t k = *i, many = 0;
  for (; k < b->count; k++) {
    uint32_t value = b->values[k], token = value - 1;
    if (!value) break;
    const uint64_t *record = arena + (token < ids ? 0 : token - ids);
    size_t count = token < ids ? 1 : record_count(record);
    if (count > INLINE_IDS) break;
    if (!counting) {
      const uint32_t *from = record_ids(record);
      uint32_t first = token < ids ? token : *from;
      memcpy(out + many, from, INLINE_IDS * sizeof *out);
      out[many] = first;
    }
    many += count;
  }
  *i = k;
  if (counting)
    *j->counted += many;
  else
    j->out->count += many;
}

/* ---- a batch's missing words ---- merged side by side */

#define CUTS_FROM 4096 /* misses after which cutting is prepared: it takes a millisecond or two */

static void cuts_ready(const struct words *j) {
  struct cache *c = j->w->cache;
  if (c->misses < CUTS_FROM && ++c->misses == CUTS_FROM) c->cuts = cuts_new(j->t, j->kind);
}

/* Up to BPE_LANES words of a batch. */
struct missing {
  size_t count;
  struct missing_word {
    const char *word;
    size_t n;
    uint64_t key;
    uint16_t place; /* in the batch */
    bool part;
  } words[BPE_LANES];
};

static void missing_keep(const struct words *j, struct cache_batch *b, const struct missing_word *m,
                         const uint32_t *ids, size_t count) {
  struct cache *c = j->w->cache;
  b->values[m->place] = cache_keep(c, m->word, m->n, m->part && c->apart, m->key, ids, count);
}

/* Words that are tokens as they are, of files that say so; the others stay. */
static void missing_wholes(const struct words *j, struct missing *m, struct cache_batch *b) {
  const struct cuts *cuts = j->w->cache->cuts;
  struct bpe_word_query ask[BPE_LANES];
  size_t who[BPE_LANES], asked = 0, left = 0;
  for (size_t i = 0; i < m->count; i++) {
    const struct missing_word *w = &m->words[i];
    if (w->part || (cuts && !cuts_whole(cuts, w->n, w->key))) continue;
    ask[asked] = (struct bpe_word_query){.word = w->word, .n = w->n};
    who[asked++] = i;
  }
  bpe_wholes(j->t, ask, asked, j->kind);
  for (size_t i = 0, k = 0; i < m->count; i++) {
    uint32_t id = k < asked && who[k] == i ? ask[k++].id : TOKENIZER_NONE;
    if (id == TOKENIZER_NONE)
      m->words[left++] = m->words[i];
    else
      missing_keep(j, b, &m->words[i], &id, 1);
  }
  m->count = left;
}

static void missing_flush(const struct words *j, struct missing *m, struct cache_batch *b) {
  struct bpe_lane lanes[BPE_LANES];
  uint32_t ids[BPE_LANE];
  size_t count = 0;
  if (j->t->bpe.ignore_merges) missing_wholes(j, m, b);
  for (size_t i = 0; i < m->count; i++) {
    const struct missing_word *w = &m->words[i];
    if (bpe_lane_begin(&j->t->bpe, &lanes[count], w->word, w->n, j->kind)) m->words[count++] = *w;
  }
  bpe_lanes_merge(&j->t->bpe, lanes, count);
  for (size_t i = 0; i < count; i++)
    missing_keep(j, b, &m->words[i], ids, bpe_lane_ids(&lanes[i], ids));
  m->count = 0;
}

/* Short words of the batch that were not found are merged, kept and found. What is left without a
 * value is for one(). */
static void find_missing(const struct words *j, struct cache_batch *b, const char *s, size_t start,
                         const char *end) {
  const struct cache *c = j->w->cache;
  struct missing m;
  m.count = 0;
  for (size_t k = 0; k < b->count && !c->full; k++) {
    if (b->values[k]) continue;
    size_t from = k ? b->ends[k - 1] : start, n = b->ends[k] - from;
    if (n > BPE_LANE) continue;
    if (!j->whole) cuts_ready(j);
    uint64_t key = cache_key_of(s + from, n, end, b->part[k] && c->apart);
    m.words[m.count++] = (struct missing_word){s + from, n, key, (uint16_t)k, b->part[k]};
    if (c->cuts) cuts_prefetch(c->cuts, n, key);
    if (m.count == BPE_LANES) missing_flush(j, &m, b);
  }
  if (m.count) missing_flush(j, &m, b);
}

static int one(const struct words *j, const char *word, size_t n, const char *end, bool part,
               uint64_t at);

static int take_batch(const struct words *j, struct cache_batch *b, const char *s, size_t start,
                      const char *end, uint64_t base) {
  struct cache *c = j->w->cache;
  int rc = 0;
  if (c->full) {
    cache_empty(c);
    memset(b->values, 0, sizeof b->values);
  } else {
    if (b->found < b->count) cache_find_all(c, b);
    check_longer(c, b, s, start, end);
    find_missing(j, b, s, start, end);
  }
  for (size_t i = 0; i < b->count && !rc; i++) {
    if ((rc = tokens_reserve(j->out, (b->count - i) * INLINE_IDS, j->spans, j->err))) break;
    size_t before = j->out->count, from = i ? b->ends[i - 1] : start;
    if (j->counted)
      take_found(j, b, &i, true);
    else
      take_found(j, b, &i, false);
    if (j->spans) add_spans(j, before, base + from);
    if (i == b->count) break;
    from = i ? b->ends[i - 1] : start;
    if (b->values[i])
      rc = append_record(j, b->values[i], base + from);
    else
      rc = one(j, s + from, b->ends[i] - from, end, b->part[i], base + from);
    if (j->counted) *j->counted += j->out->count, j->out->count = 0;
  }
  b->count = b->longer = b->found = 0;
  return rc;
}

/* ---- what the cache does not have ---- */

static int merged(const struct words *j, const char *word, size_t n, uint64_t at) {
  return bpe_merged(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
}

/* A word that has a place to be cut at `to`, in parts. They are looked up as words are, but are
 * never a token because they are one as a whole. */
static int in_parts(const struct words *j, const char *word, size_t n, size_t to, const char *end,
                    uint64_t at) {
  const struct cache *c = j->w->cache;
  int rc = 0;
  for (size_t from = 0, count = 1; from < n && !rc; count++) {
    size_t len = to - from;
    rc = one(j, word + from, len, end, true, at + from);
    if (!rc && !(count & 0xFFFF)) rc = cancel_check(j->err);
    from = to;
    to = cuts_next(c->cuts, word, n, from);
  }
  return rc;
}

static int miss(const struct words *j, const char *word, size_t n, const char *end, bool part,
                uint64_t at) {
  const struct cuts *cuts = j->w->cache->cuts;
  if (part) return merged(j, word, n, at);
  if (!j->whole) cuts_ready(j);
  if (!cuts || j->whole)
    return bpe_word(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
  bool maybe = cuts_whole(cuts, n, n > CACHE_LONG ? 0 : cache_key_of(word, n, end, false));
  uint32_t id = maybe ? bpe_whole(j->t, word, n, j->kind) : TOKENIZER_NONE;
  if (id != TOKENIZER_NONE) return append(j, &id, 1, at);
  size_t to = cuts_next(cuts, word, n, 0);
  return to == n ? merged(j, word, n, at) : in_parts(j, word, n, to, end, at);
}

/* A word that was not found, or is to be looked for. */
static int one(const struct words *j, const char *word, size_t n, const char *end, bool part,
               uint64_t at) {
  struct cache *c = j->w->cache;
  if (n > CACHE_LONG) return miss(j, word, n, end, part, at);
  bool apart = part && c->apart;
  uint64_t mixed = cache_key_of(word, n, end, apart);
  uint32_t value = c->full ? 0 : cache_find(c, n, mixed);
  bool found = n <= CACHE_TINY ? value : value && cache_is(c, value, word, n, end, apart);
  if (found && value <= c->ids) return append(j, &(uint32_t){value - 1}, 1, at);
  if (found) return append_record(j, value, at);
  size_t before = j->out->count;
  int rc = miss(j, word, n, end, part, at);
  if (!rc) cache_keep(c, word, n, apart, mixed, j->out->ids + before, j->out->count - before);
  return rc;
}

/* ---- words ---- */

static bool has_cache(const struct words *j) {
  struct cache *c = j->w->cache;
  return c && (!j->spans || j->lengths) &&
         cache_ready(c, j->t->vocab.size, j->t->bpe.ignore_merges);
}

int words_one(const struct words *j, const char *word, size_t n, const char *end, uint64_t at) {
  if (!n || !has_cache(j))
    return bpe_word(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
  if (j->w->cache->full) cache_empty(j->w->cache);
  return one(j, word, n, end, false, at);
}

/* Where a long word may be cut first. Its end: it stays whole. */
static size_t first_cut(const struct words *j, const char *word, size_t n) {
  const struct cuts *cuts = j->w->cache->cuts;
  if (!cuts || j->whole) return n;
  if (j->t->bpe.ignore_merges && n <= CACHE_LONG &&
      cuts_whole(cuts, n, cache_key_of(word, n, word + n, false)))
    return n;
  return cuts_next(cuts, word, n, 0);
}

/* What is done with words is the same for all of them but the long ones. */
struct walk {
  const struct words *j;
  const char *s, *end;
  size_t done; /* up to here words were looked up */
  size_t batches;
  uint64_t base;
  struct cache_batch b;
};

static int walk_flush(struct walk *k) {
  size_t start = k->done;
  if (!k->b.count) return 0;
  k->done = k->b.ends[k->b.count - 1];
  int rc = ++k->batches & 0x3FF ? 0 : cancel_check(k->j->err);
  return rc ? rc : take_batch(k->j, &k->b, k->s, start, k->end, k->base);
}

/* Every CACHE_AHEAD words. */
static int walk_on(struct walk *k) {
  if (k->b.count == WORDS_BATCH) return walk_flush(k);
  if (!k->j->w->cache->full) cache_find_all(k->j->w->cache, &k->b);
  return 0;
}

/* A long word, or one near the end of what is readable. */
static int walk_seldom(struct walk *k, size_t start, size_t n) {
  const struct words *j = k->j;
  const char *word = k->s + start;
  size_t to = n > CACHE_SHORT ? first_cut(j, word, n) : n;
  bool part = to < n, apart = part && j->w->cache->apart;
  int rc = 0;
  for (size_t from = 0; from < n && !rc;
       from = to, to = from < n ? cuts_next(j->w->cache->cuts, word, n, from) : n) {
    size_t len = to - from;
    uint64_t mixed = len > CACHE_LONG ? 0 : cache_key_of(word + from, len, k->end, apart);
    cache_batch_add(j->w->cache, &k->b, mixed, len, part, start + to);
    if (k->b.count % CACHE_AHEAD == 0) rc = walk_on(k);
  }
  return rc;
}

static int cached(const struct words *j, const char *s, size_t start, const uint32_t *ends,
                  size_t count, const char *end, uint64_t base) {
  struct walk k;
  const struct cache *c = j->w->cache;
  int rc = 0;
  k.j = j, k.s = s, k.end = end, k.done = start, k.batches = 0, k.base = base,
  k.b.count = k.b.longer = k.b.found = 0;
  for (size_t i = 0; i < count && !rc; start = ends[i++]) {
    size_t n = ends[i] - start;
    const char *word = s + start;
    if (n > CACHE_SHORT || end - word < (ptrdiff_t)CACHE_SHORT) {
      rc = walk_seldom(&k, start, n);
      continue;
    }
    cache_batch_add(c, &k.b, cache_key(word, n, false), n, false, ends[i]);
    if (k.b.count % CACHE_AHEAD == 0) rc = walk_on(&k);
  }
  return rc ? rc : walk_flush(&k);
}

int words_many(const struct words *j, const char *s, size_t start, const uint32_t *ends,
               size_t count, const char *end, uint64_t base) {
  int rc = 0;
  if (has_cache(j)) return cached(j, s, start, ends, count, end, base);
  for (size_t i = 0; i < count && !rc; start = ends[i++]) {
    rc = words_one(j, s + start, ends[i] - start, end, base + start);
    if (j->counted) *j->counted += j->out->count, j->out->count = 0;
  }
  return rc;
}

int word_encode(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
                const char *end, int kind, struct tokens *out, bool spans, uint64_t at,
                struct err *err) {
  bool bytes = kind == BPE_BYTES && t->bpe.complete && decoder_bytes(t->decoder);
  struct words j = {.t = t,
                    .w = w,
                    .kind = kind,
                    .lengths = bytes ? t->vocab.bytes_len : NULL,
                    .spans = spans,
                    .whole = kind != BPE_BYTES, /* U+2581 may be in it */
                    .out = out,
                    .err = err};
  return words_one(&j, word, n, end, at);
}
