/* SPDX-License-Identifier: MIT */
/* Words → ids. Words repeat, so a cache remembers what the model made of them.
 *
 *   short  up to 15 bytes: the bytes are the key     [ 15 bytes │ 4 + 3 bits ][ id id id id ]
 *          two entries in a row of the table         length, how many ids ┘     └ or first, count
 *   long   up to 255 bytes: hash, and the bytes in an arena
 *
 * The words of a batch get their keys first, and the rows they will need are fetched meanwhile; then
 * each is looked up, its four ids copied whether it has as many or not, and the count moved on.
 *
 * Tables begin small and grow with the number of words in them. Full, a row keeps its first entry,
 * and an arena that is full empties everything: at most 32 MiB of short entries, 3 MiB of long ones,
 * 16 MiB of arenas for one work. Results do not depend on any of it.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tokenizer/parts.h"

#define SHORT_BYTES 15
#define LONG_BYTES  255
#define SHORT_FIRST ((size_t)1 << 10)
#define SHORT_MOST  ((size_t)1 << 20)
#define LONG_FIRST  ((size_t)1 << 8)
#define LONG_MOST   ((size_t)1 << 17)
#define ARENA_IDS   ((size_t)1 << 21)
#define ARENA_BYTES ((size_t)8 << 20)
#define INLINE_IDS  4
#define COUNT_SHIFT 60
#define COUNT_MASK  ((uint64_t)7 << COUNT_SHIFT)
#define PART        ((uint64_t)1 << 63) /* a part of a word, where that is not the same */
#define COUNT_MORE  7u /* ids[0] is the first's place in the arena, ids[1] their number */
#define SLOT_FACTOR 0x9E3779B97F4A7C15u
#define HIGH_FACTOR 0xD6E8FEB86659FD93u

struct cache {
  struct short_entry {
    uint64_t low, high; /* the word's bytes, and above: length, then count; high 0: empty */
    uint32_t ids[INLINE_IDS];
  } * shorts;
  struct long_entry {
    uint64_t hash;
    uint32_t at, len; /* bytes in the arena; len 0: empty */
    uint32_t first, count;
  } * longs;
  size_t short_slots, short_used, long_slots, long_used;
  uint32_t *ids;
  char *bytes;
  size_t id_count, id_cap, byte_count, byte_cap;
  struct cuts *cuts; /* NULL: not yet, or they cannot be had */
  uint32_t misses;
};

struct key {
  uint64_t low, high; /* high 0: not a short word */
  uint32_t slot;
};

struct cache *cache_new(void) {
  return mem_zero(sizeof(struct cache));
}

void cache_free(struct cache *c) {
  if (!c) return;
  mem_free_aligned(c->shorts, c->short_slots * sizeof *c->shorts);
  mem_free(c->longs);
  mem_free(c->ids);
  mem_free(c->bytes);
  cuts_free(c->cuts);
  mem_free(c);
}

static void cache_empty(struct cache *c) {
  if (c->shorts) memset(c->shorts, 0, c->short_slots * sizeof *c->shorts);
  if (c->longs) memset(c->longs, 0, c->long_slots * sizeof *c->longs);
  c->short_used = c->long_used = c->id_count = c->byte_count = 0;
}

/* ---- arenas ---- */

static bool arena_grow(void **data, size_t *cap, size_t need, size_t most, size_t size) {
  size_t next = *cap ? *cap : 1024;
  while (next < need) next *= 2;
  if (next > most) return false;
  void *grown = next > *cap ? mem_rearray(*data, next, size) : *data;
  if (!grown) return false;
  *data = grown;
  *cap = next;
  return true;
}

/* Room for that much more; false: the cache was emptied, or there is no memory, so nothing is to be
 * kept now. */
static bool cache_room(struct cache *c, size_t ids, size_t bytes) {
  void *id_data = c->ids, *byte_data = c->bytes;
  bool ok = arena_grow(&id_data, &c->id_cap, c->id_count + ids, ARENA_IDS, sizeof *c->ids);
  c->ids = id_data;
  ok = arena_grow(&byte_data, &c->byte_cap, c->byte_count + bytes, ARENA_BYTES, 1) && ok;
  c->bytes = byte_data;
  if (!ok) cache_empty(c);
  return ok;
}

static uint32_t cache_keep(struct cache *c, const uint32_t *ids, size_t n) {
  uint32_t first = (uint32_t)c->id_count;
  memcpy(c->ids + first, ids, n * sizeof *ids);
  c->id_count += n;
  return first;
}

/* ---- short words ---- */

static uint64_t load64(const char *s) {
  uint64_t v;
  memcpy(&v, s, 8);
  return v;
}

static const uint64_t low_bytes[9] = {0,           0xFF,         0xFFFF,         0xFFFFFF,
                                      0xFFFFFFFF,  0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF,
                                      ~(uint64_t)0};

/* n ≤ SHORT_BYTES; 16 bytes are readable. */
static inline struct key key_of(const char *word, size_t n) {
  struct key k;
  k.low = load64(word) & low_bytes[n < 8 ? n : 8];
  k.high = (load64(word + 8) & low_bytes[n < 8 ? 0 : n - 8]) | (uint64_t)n << 56;
  return k;
}

static struct key key_near_end(const char *word, size_t n) {
  char copy[16] = {0};
  memcpy(copy, word, n);
  return key_of(copy, n);
}

static inline __attribute__((always_inline)) uint32_t slot_of(const struct key *k, size_t slots) {
  uint64_t h = (k->low ^ k->high * HIGH_FACTOR) * SLOT_FACTOR;
  return (uint32_t)(h >> 40 ^ h >> 20) & (uint32_t)(slots - 1);
}

static void short_put(struct short_entry *table, size_t slots, const struct short_entry *e) {
  struct key k = {e->low, e->high & ~COUNT_MASK, 0};
  struct short_entry *to = &table[slot_of(&k, slots)];
  if (to->high) to = &table[slot_of(&k, slots) ^ 1];
  *to = *e;
}

/* More slots when half are used. Without memory it stays as it is; false: there is no table. */
static bool short_grow(struct cache *c) {
  if (c->shorts && (c->short_used * 2 < c->short_slots || c->short_slots >= SHORT_MOST))
    return true;
  size_t slots = c->shorts ? c->short_slots * 4 : SHORT_FIRST;
  if (slots > SHORT_MOST) slots = SHORT_MOST;
  struct short_entry *grown = mem_aligned(slots * sizeof *grown);
  if (!grown) return c->shorts != NULL;
  memset(grown, 0, slots * sizeof *grown);
  for (size_t i = 0; c->shorts && i < c->short_slots; i++)
    if (c->shorts[i].high) short_put(grown, slots, &c->shorts[i]);
  mem_free_aligned(c->shorts, c->short_slots * sizeof *c->shorts);
  c->shorts = grown;
  c->short_slots = slots;
  return true;
}

/* What the model has just appended from `before` on. */
static void short_keep(struct cache *c, const struct key *k, const uint32_t *ids, size_t count) {
  struct short_entry e = {k->low, k->high, {0}};
  if (!short_grow(c)) return;
  if (count <= INLINE_IDS) {
    memcpy(e.ids, ids, count * sizeof *ids);
    e.high |= (uint64_t)count << COUNT_SHIFT;
  } else {
    if (!cache_room(c, count, 0)) return;
    e.ids[0] = cache_keep(c, ids, count);
    e.ids[1] = (uint32_t)count;
    e.high |= (uint64_t)COUNT_MORE << COUNT_SHIFT;
  }
  c->short_used++;
  short_put(c->shorts, c->short_slots, &e);
}

static inline const struct short_entry *short_find(const struct cache *c, const struct key *k,
                                                   uint32_t slot) {
  const struct short_entry *e = &c->shorts[slot];
  if (e->low == k->low && (e->high & ~COUNT_MASK) == k->high) return e;
  e = &c->shorts[slot ^ 1];
  return e->low == k->low && (e->high & ~COUNT_MASK) == k->high ? e : NULL;
}

/* ---- long words ---- */

static bool long_grow(struct cache *c) {
  if (c->longs && (c->long_used * 2 < c->long_slots || c->long_slots >= LONG_MOST)) return true;
  size_t slots = c->longs ? c->long_slots * 4 : LONG_FIRST;
  if (slots > LONG_MOST) slots = LONG_MOST;
  struct long_entry *grown = mem_zeros(slots, sizeof *grown);
  if (!grown) return c->longs != NULL;
  for (size_t i = 0; c->longs && i < c->long_slots; i++)
    if (c->longs[i].len) grown[c->longs[i].hash & (slots - 1)] = c->longs[i];
  mem_free(c->longs);
  c->longs = grown;
  c->long_slots = slots;
  return true;
}

static void long_keep(struct cache *c, const char *word, size_t n, uint64_t hash,
                      const uint32_t *ids, size_t count) {
  if (!cache_room(c, count, n) || !long_grow(c)) return;
  struct long_entry *e = &c->longs[hash & (c->long_slots - 1)];
  c->long_used += !e->len;
  *e = (struct long_entry){hash, (uint32_t)c->byte_count, (uint32_t)n, 0, (uint32_t)count};
  e->first = cache_keep(c, ids, count);
  memcpy(c->bytes + c->byte_count, word, n);
  c->byte_count += n;
}

static const struct long_entry *long_find(const struct cache *c, const char *word, size_t n,
                                          uint64_t hash) {
  if (!c->longs) return NULL;
  const struct long_entry *e = &c->longs[hash & (c->long_slots - 1)];
  return e->hash == hash && e->len == n && !memcmp(c->bytes + e->at, word, n) ? e : NULL;
}

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

static int append_short(const struct words *j, const struct short_entry *e, uint64_t at) {
  size_t count = (size_t)((e->high & COUNT_MASK) >> COUNT_SHIFT);
  if (count != COUNT_MORE) return append(j, e->ids, count, at);
  return append(j, j->w->cache->ids + e->ids[0], e->ids[1], at);
}

/* ---- many words ---- */

/* What is looked up together: words, or parts of words. */
struct group {
  uint32_t ends[WORDS_BATCH];
  bool part[WORDS_BATCH];
  size_t count;
  struct key keys[WORDS_BATCH];
};

static void make_keys(const struct words *j, struct group *g, const char *s, size_t start,
                      const char *end) {
  const struct cache *c = j->w->cache;
  uint64_t part = j->t->bpe.ignore_merges ? PART : 0;
  for (size_t i = 0; i < g->count; start = g->ends[i++]) {
    size_t n = g->ends[i] - start;
    const char *word = s + start;
    struct key *k = &g->keys[i];
    if (n > SHORT_BYTES) {
      k->high = 0;
      continue;
    }
    *k = end - word >= 16 ? key_of(word, n) : key_near_end(word, n);
    if (g->part[i]) k->high |= part;
    k->slot = slot_of(k, c->short_slots);
    __builtin_prefetch(&c->shorts[k->slot]);
  }
}

/* The words from *i on that are found at once. */
static void take_found(const struct words *j, const struct group *g, size_t *i) {
  const struct cache *c = j->w->cache;
  struct tokens *out = j->out;
  size_t *counted = j->counted ? j->counted : &out->count;
  for (; *i < g->count; ++*i) {
    const struct key *k = &g->keys[*i];
    const struct short_entry *e = k->high ? short_find(c, k, k->slot) : NULL;
    if (!e || (e->high & COUNT_MASK) == COUNT_MASK) return;
    memcpy(out->ids + out->count, e->ids, sizeof e->ids);
    *counted += (size_t)((e->high & COUNT_MASK) >> COUNT_SHIFT);
  }
}

static int one(const struct words *j, const char *word, size_t n, const char *end,
               const struct key *k, bool part, uint64_t at);

static int take_group(const struct words *j, struct group *g, const char *s, size_t start,
                      const char *end, uint64_t base) {
  struct cache *c = j->w->cache;
  size_t slots = c->short_slots;
  int rc = 0;
  make_keys(j, g, s, start, end);
  for (size_t i = 0; i < g->count && !rc; i++) {
    if ((rc = tokens_reserve(j->out, (g->count - i) * INLINE_IDS, j->spans, j->err))) break;
    size_t before = j->out->count, from = i ? g->ends[i - 1] : start;
    if (slots == c->short_slots) take_found(j, g, &i);
    if (j->spans) add_spans(j, before, base + from);
    if (i == g->count) break;
    from = i ? g->ends[i - 1] : start;
    rc = one(j, s + from, g->ends[i] - from, end, &g->keys[i], g->part[i], base + from);
    if (j->counted) *j->counted += j->out->count, j->out->count = 0;
  }
  g->count = 0;
  return rc;
}

/* ---- what the cache does not have ---- */

#define CUTS_FROM 4096 /* misses after which cutting is prepared: it takes a millisecond or two */

static void cuts_ready(const struct words *j) {
  struct cache *c = j->w->cache;
  if (c->misses < CUTS_FROM && ++c->misses == CUTS_FROM) c->cuts = cuts_new(j->t, j->kind);
}

static int merged(const struct words *j, const char *word, size_t n, uint64_t at) {
  return bpe_merged(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
}

/* A word that has a place to be cut at `to`, in parts. They are looked up as words are, but are
 * never a token because they are one as a whole. */
static int in_parts(const struct words *j, const char *word, size_t n, size_t to, const char *end,
                    uint64_t at) {
  const struct cache *c = j->w->cache;
  uint64_t flag = j->t->bpe.ignore_merges ? PART : 0;
  int rc = 0;
  for (size_t from = 0, count = 1; from < n && !rc; count++) {
    struct key k = {0, 0, 0};
    size_t len = to - from;
    if (len <= SHORT_BYTES)
      k = end - word - from >= 16 ? key_of(word + from, len) : key_near_end(word + from, len);
    k.high |= flag;
    rc = one(j, word + from, len, end, &k, true, at + from);
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
  uint32_t id = cuts_whole(cuts, word, n) ? bpe_whole(j->t, word, n, j->kind) : TOKENIZER_NONE;
  if (id != TOKENIZER_NONE) return append(j, &id, 1, at);
  size_t to = cuts_next(cuts, word, n, 0);
  return to == n ? merged(j, word, n, at) : in_parts(j, word, n, to, end, at);
}

/* The table does not tell words and parts apart; the hash does. */
static int one_long(const struct words *j, const char *word, size_t n, const char *end, bool part,
                    uint64_t at) {
  struct cache *c = j->w->cache;
  uint64_t hash = hash_xxh3(word, n, part);
  const struct long_entry *e = long_find(c, word, n, hash);
  if (e) return append(j, c->ids + e->first, e->count, at);
  size_t before = j->out->count;
  int rc = miss(j, word, n, end, part, at);
  if (!rc) long_keep(c, word, n, hash, j->out->ids + before, j->out->count - before);
  return rc;
}

/* A word whose key is k, which was not found or is to be looked for. */
static int one(const struct words *j, const char *word, size_t n, const char *end,
               const struct key *k, bool part, uint64_t at) {
  struct cache *c = j->w->cache;
  if (n > LONG_BYTES) return miss(j, word, n, end, part, at);
  if (n > SHORT_BYTES) return one_long(j, word, n, end, part, at);
  const struct short_entry *e = c->shorts ? short_find(c, k, slot_of(k, c->short_slots)) : NULL;
  if (e) return append_short(j, e, at);
  size_t before = j->out->count;
  int rc = miss(j, word, n, end, part, at);
  if (!rc) short_keep(c, k, j->out->ids + before, j->out->count - before);
  return rc;
}

/* ---- words ---- */

int words_one(const struct words *j, const char *word, size_t n, const char *end, uint64_t at) {
  struct key k = {0, 0, 0};
  if (!j->w->cache || !n || (j->spans && !j->lengths))
    return bpe_word(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
  if (n <= SHORT_BYTES) k = end - word >= 16 ? key_of(word, n) : key_near_end(word, n);
  return one(j, word, n, end, &k, false, at);
}

/* Where a long word may be cut first: its parts are more often known than it is itself. Its end: it
 * stays whole. */
static size_t first_cut(const struct words *j, const char *word, size_t n) {
  const struct cuts *cuts = j->w->cache->cuts;
  if (n <= SHORT_BYTES || !cuts || j->whole || cuts_whole(cuts, word, n)) return n;
  return cuts_next(cuts, word, n, 0);
}

static int cached(const struct words *j, const char *s, size_t start, const uint32_t *ends,
                  size_t count, const char *end, uint64_t base) {
  struct group g;
  size_t done = start, groups = 0; /* of what was looked up */
  int rc = 0;
  g.count = 0;
  for (size_t i = 0; i < count && !rc; start = ends[i++]) {
    size_t n = ends[i] - start, from = 0, to = first_cut(j, s + start, n);
    bool part = to < n;
    for (; from < n && !rc;
         from = to, to = from < n ? cuts_next(j->w->cache->cuts, s + start, n, from) : n) {
      g.part[g.count] = part;
      g.ends[g.count++] = (uint32_t)(start + to);
      if (g.count < WORDS_BATCH) continue;
      rc = ++groups & 0x3FF ? 0 : cancel_check(j->err);
      if (!rc) rc = take_group(j, &g, s, done, end, base);
      done = start + to;
    }
  }
  return rc ? rc : take_group(j, &g, s, done, end, base);
}

int words_many(const struct words *j, const char *s, size_t start, const uint32_t *ends,
               size_t count, const char *end, uint64_t base) {
  struct cache *c = j->w->cache;
  int rc = 0;
  if (c && short_grow(c) && (!j->spans || j->lengths))
    return cached(j, s, start, ends, count, end, base);
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
