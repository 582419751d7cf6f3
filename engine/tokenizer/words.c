/* SPDX-License-Identifier: MIT */
/* Words repeat, so a cache remembers their ids: words of up to 15 bytes in one table with the bytes
 * inside the entry, up to 255 in another with the bytes in an arena. When an arena is full the
 * cache is emptied: its size is bounded and results do not depend on it.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tokenizer/parts.h"

#define SHORT_SLOTS (1u << 15)
#define LONG_SLOTS  (1u << 13)
#define LONG_BYTES  255
#define ARENA_IDS   (1u << 18)
#define ARENA_BYTES (1u << 20)
#define INLINE_IDS  3
#define SLOT_FACTOR 0x9E3779B97F4A7C15u

struct cache {
  struct short_entry {
    uint64_t low, high;       /* the word's bytes, its length in the last one; 0, 0: empty */
    uint32_t ids[INLINE_IDS]; /* or, of more, the first's place in the arena */
    uint32_t count;
  } * shorts;
  struct long_entry {
    uint64_t hash;
    uint32_t at, len; /* bytes in the arena; len 0: empty */
    uint32_t first, count;
  } * longs;
  uint32_t *ids;
  char *bytes;
  size_t id_count, byte_count;
};

struct cache *cache_new(void) {
  struct cache *c = mem_zero(sizeof *c);
  if (!c) return NULL;
  c->shorts = mem_zeros(SHORT_SLOTS, sizeof *c->shorts);
  c->longs = mem_zeros(LONG_SLOTS, sizeof *c->longs);
  c->ids = mem_array(ARENA_IDS, sizeof *c->ids);
  c->bytes = mem_alloc(ARENA_BYTES);
  if (c->shorts && c->longs && c->ids && c->bytes) return c;
  cache_free(c);
  return NULL;
}

void cache_free(struct cache *c) {
  if (!c) return;
  mem_free(c->shorts);
  mem_free(c->longs);
  mem_free(c->ids);
  mem_free(c->bytes);
  mem_free(c);
}

static void cache_empty(struct cache *c) {
  memset(c->shorts, 0, SHORT_SLOTS * sizeof *c->shorts);
  memset(c->longs, 0, LONG_SLOTS * sizeof *c->longs);
  c->id_count = c->byte_count = 0;
}

/* Room for that much more, after emptying if need be. */
static void cache_room(struct cache *c, size_t ids, size_t bytes) {
  if (c->id_count + ids > ARENA_IDS || c->byte_count + bytes > ARENA_BYTES) cache_empty(c);
}

static uint32_t cache_keep(struct cache *c, const uint32_t *ids, size_t n) {
  uint32_t first = (uint32_t)c->id_count;
  memcpy(c->ids + first, ids, n * sizeof *ids);
  c->id_count += n;
  return first;
}

static void append(const struct tokenizer *t, struct tokens *out, const uint32_t *ids, size_t n,
                   bool spans, uint64_t at) {
  for (size_t i = 0; i < n; i++) {
    if (spans) {
      uint32_t len = t->vocab.bytes_len[ids[i]];
      out->spans[out->count] = (struct token_span){at, at + len};
      at += len;
    }
    out->ids[out->count++] = ids[i];
  }
}

static uint64_t load(const char *s, size_t n) {
  uint64_t v = 0;
  memcpy(&v, s, n);
  return v;
}

static void short_key(const char *word, size_t n, const char *end, uint64_t *low, uint64_t *high) {
  if (end - word >= 16) {
    *low = load(word, 8);
    *high = load(word + 8, 8);
    if (n < 8)
      *low &= ((uint64_t)1 << 8 * n) - 1, *high = 0;
    else
      *high &= ((uint64_t)1 << 8 * (n - 8)) - 1;
  } else {
    *low = load(word, n < 8 ? n : 8);
    *high = n > 8 ? load(word + 8, n - 8) : 0;
  }
  *high |= (uint64_t)n << 56;
}

static int word_short(const struct tokenizer *t, struct tokenizer_work *w, const char *word,
                      size_t n, const char *end, int kind, struct tokens *out, bool spans,
                      uint64_t at, struct err *err) {
  struct cache *c = w->cache;
  uint64_t low, high;
  short_key(word, n, end, &low, &high);
  uint64_t h = (low ^ high * 0xD6E8FEB86659FD93u) * SLOT_FACTOR;
  size_t slot = (size_t)(h >> 40) & (SHORT_SLOTS - 1);
  struct short_entry *e = &c->shorts[slot], *other = &c->shorts[slot ^ 1];
  if (e->low != low || e->high != high) {
    if (other->low == low && other->high == high) e = other;
  }
  int rc;
  if (e->low == low && e->high == high) {
    if ((rc = tokens_reserve(out, e->count, spans, err))) return rc;
    append(t, out, e->count > INLINE_IDS ? c->ids + e->ids[0] : e->ids, e->count, spans, at);
    return 0;
  }
  size_t before = out->count;
  if ((rc = bpe_word(t, w, word, n, kind, out, spans, at, err))) return rc;
  size_t count = out->count - before;
  if (count > INLINE_IDS) cache_room(c, count, 0);
  if (e->high && !other->high) e = other;
  e->low = low;
  e->high = high;
  e->count = (uint32_t)count;
  if (count > INLINE_IDS)
    e->ids[0] = cache_keep(c, out->ids + before, count);
  else
    memcpy(e->ids, out->ids + before, count * sizeof *e->ids);
  return 0;
}

static int word_long(const struct tokenizer *t, struct tokenizer_work *w, const char *word,
                     size_t n, int kind, struct tokens *out, bool spans, uint64_t at,
                     struct err *err) {
  struct cache *c = w->cache;
  uint64_t hash = hash_xxh3(word, n, 0);
  struct long_entry *e = &c->longs[hash & (LONG_SLOTS - 1)];
  int rc;
  if (e->len == n && e->hash == hash && !memcmp(c->bytes + e->at, word, n)) {
    if ((rc = tokens_reserve(out, e->count, spans, err))) return rc;
    append(t, out, c->ids + e->first, e->count, spans, at);
    return 0;
  }
  size_t before = out->count;
  if ((rc = bpe_word(t, w, word, n, kind, out, spans, at, err))) return rc;
  size_t count = out->count - before;
  cache_room(c, count, n);
  *e = (struct long_entry){hash, (uint32_t)c->byte_count, (uint32_t)n, 0, (uint32_t)count};
  e->first = cache_keep(c, out->ids + before, count);
  memcpy(c->bytes + c->byte_count, word, n);
  c->byte_count += n;
  return 0;
}

int word_encode(const struct tokenizer *t, struct tokenizer_work *w, const char *word, size_t n,
                const char *end, int kind, struct tokens *out, bool spans, uint64_t at,
                struct err *err) {
  if (!w->cache || n > LONG_BYTES || (spans && !t->bpe.complete))
    return bpe_word(t, w, word, n, kind, out, spans, at, err);
  if (n < 16) return word_short(t, w, word, n, end, kind, out, spans, at, err);
  return word_long(t, w, word, n, kind, out, spans, at, err);
}
