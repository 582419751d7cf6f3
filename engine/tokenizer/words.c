/* SPDX-License-Identifier: MIT */
/* Words → ids. Words repeat, so a cache (cache.c) remembers what the model made of them.
 *
 *   words ─ keys ─► a batch ─► values ────────────────────────────► ids
 *                                └─ none: a token as it is │ merged in lanes ─► kept
 *
 * Every step is done for many words before the next one, and asks for the memory that the next one
 * will read: nothing waits for one word alone. Only what is long goes through the model by itself.
 *
 * Words are cut where no token crosses (cuts.c) before they are looked up, if they are long or of
 * SentencePiece's kind: what is between two spaces there is seen once, its words and signs often.
 */
#include <string.h>

#include "base/cancel.h"
#include "tokenizer/bpe.h"
#include "tokenizer/cache.h"

#define INLINE static inline __attribute__((always_inline))

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

/* ---- what the cache does not have ---- one by one */

#define CUTS_FROM 4096 /* misses after which cutting is prepared: it takes a millisecond or two */

static const struct cuts *cuts_of(const struct words *j, uint32_t misses) {
  struct cache *c = j->w->cache->first;
  const struct cuts *cuts = j->whole ? NULL : cache_cuts(c);
  if (j->whole || cuts || __atomic_load_n(&c->misses, __ATOMIC_RELAXED) >= CUTS_FROM) return cuts;
  uint32_t now = __atomic_add_fetch(&c->misses, misses, __ATOMIC_RELAXED);
  if (now < CUTS_FROM || now - misses >= CUTS_FROM) return NULL; /* one thread makes them */
  struct cuts *made = cuts_new(j->t, j->kind);
  __atomic_store_n(&c->cuts, made, __ATOMIC_RELEASE);
  return made;
}

static int merged(const struct words *j, const char *word, size_t n, uint64_t at) {
  return bpe_merged(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
}

static int one(const struct words *j, const char *word, size_t n, const char *end, bool part,
               uint64_t at);

/* A word that has a place to be cut at `to`, in parts. They are looked up as words are, but are
 * never a token because they are one as a whole. */
static int in_parts(const struct words *j, const struct cuts *cuts, const char *word, size_t n,
                    size_t to, const char *end, uint64_t at) {
  int rc = 0;
  for (size_t from = 0, count = 1; from < n && !rc; count++) {
    rc = one(j, word + from, to - from, end, true, at + from);
    if (!rc && !(count & 0xFFFF)) rc = cancel_check(j->err);
    from = to;
    to = cuts_next(cuts, word, n, from);
  }
  return rc;
}

static int miss(const struct words *j, const char *word, size_t n, const char *end, bool part,
                uint64_t key, uint64_t at) {
  const struct cuts *cuts = cuts_of(j, 1);
  if (part) return merged(j, word, n, at);
  if (!cuts) return bpe_word(j->t, j->w, word, n, j->kind, j->out, j->spans, at, j->err);
  uint32_t id = cuts_whole(cuts, n, key) ? bpe_whole(j->t, word, n, j->kind) : TOKENIZER_NONE;
  if (id != TOKENIZER_NONE) return append(j, &id, 1, at);
  size_t to = cuts_next(cuts, word, n, 0);
  return to == n ? merged(j, word, n, at) : in_parts(j, cuts, word, n, to, end, at);
}

static int one(const struct words *j, const char *word, size_t n, const char *end, bool part,
               uint64_t at) {
  struct cache *c = j->w->cache;
  if (n > CACHE_LONG) return miss(j, word, n, end, part, 0, at);
  bool apart = part && c->apart;
  uint64_t key = cache_key_of(word, n, end, apart);
  uint32_t value = cache_find(c, n, key);
  bool found = n <= CACHE_TINY ? value : value && cache_is(c, value, word, n, end, apart);
  if (found && value <= c->ids) return append(j, &(uint32_t){value - 1}, 1, at);
  if (found) return append_record(j, value, at);
  size_t before = j->out->count;
  int rc = miss(j, word, n, end, part, key, at);
  if (!rc) cache_keep(c, word, n, apart, key, j->out->ids + before, j->out->count - before);
  return rc;
}

/* ---- what a batch lacks ---- */

/* Up to BPE_LANES words of a batch. */
struct missing {
  struct cache_batch *b;
  size_t count;
  struct missing_word {
    uint64_t key;
    uint16_t place; /* in the batch */
    bool part;
  } words[BPE_LANES];
};

static void missing_keep(const struct words *j, const struct missing *m,
                         const struct missing_word *w, const uint32_t *ids, size_t count) {
  struct cache *c = j->w->cache;
  m->b->values[w->place] = cache_keep(c, m->b->words[w->place], m->b->lens[w->place],
                                      w->part && c->apart, w->key, ids, count);
}

/* Words that are tokens as they are, of files that say so; the others stay. */
static void missing_wholes(const struct words *j, struct missing *m, const struct cuts *cuts) {
  struct bpe_word_query ask[BPE_LANES];
  struct missing_word asked[BPE_LANES];
  size_t count = 0, left = 0;
  for (size_t i = 0; i < m->count; i++) {
    const struct missing_word *w = &m->words[i];
    size_t n = m->b->lens[w->place];
    if (w->part || (cuts && !cuts_whole(cuts, n, w->key))) {
      m->words[left++] = *w;
    } else if (n <= BPE_LANE) { /* longer ones have no value, and go their way alone */
      ask[count] = (struct bpe_word_query){.word = m->b->words[w->place], .n = n};
      asked[count++] = *w;
    }
  }
  m->count = left;
  bpe_wholes(j->t, ask, count, j->kind);
  for (size_t i = 0; i < count; i++)
    if (ask[i].id == TOKENIZER_NONE)
      m->words[m->count++] = asked[i];
    else
      missing_keep(j, m, &asked[i], &ask[i].id, 1);
}

static void missing_find(const struct words *j, struct missing *m) {
  struct bpe_lane lanes[BPE_LANES];
  uint32_t ids[BPE_LANE];
  size_t count = 0;
  const struct cuts *cuts = cuts_of(j, (uint32_t)m->count);
  if (j->t->bpe.ignore_merges) missing_wholes(j, m, cuts);
  for (size_t i = 0; i < m->count; i++) {
    const struct missing_word *w = &m->words[i];
    if (bpe_lane_begin(&j->t->bpe, &lanes[count], m->b->words[w->place], m->b->lens[w->place],
                       j->kind))
      m->words[count++] = *w;
  }
  bpe_lanes_merge(&j->t->bpe, lanes, count);
  for (size_t i = 0; i < count; i++)
    missing_keep(j, m, &m->words[i], ids, bpe_lane_ids(&lanes[i], ids));
  m->count = 0;
}

/* Gives the words of a batch a value: but for those that must go alone. */
static void find_batch(const struct words *j, struct cache_batch *b, const char *end) {
  const struct cache *c = j->w->cache;
  const struct cuts *cuts = cache_cuts(c);
  struct missing m = {.b = b};
  if (b->found < b->count) cache_find_all(c, b);
  for (size_t i = 0; i < b->longer; i++) { /* whose record may be another word's */
    size_t k = b->others[i];
    bool apart = cache_batch_part(b, k) && c->apart;
    if (!b->values[k] || cache_is(c, b->values[k], b->words[k], b->lens[k], end, apart)) continue;
    b->values[k] = 0;
    b->lacking[b->lacks++] = (uint16_t)k;
  }
  for (size_t i = 0; i < b->lacks && !cache_is_full(c); i++) {
    size_t k = b->lacking[i];
    bool part = cache_batch_part(b, k);
    uint64_t key = cache_key_of(b->words[k], b->lens[k], end, part && c->apart);
    m.words[m.count++] = (struct missing_word){key, (uint16_t)k, part};
    if (cuts) cuts_prefetch(cuts, b->lens[k], key);
    if (m.count == BPE_LANES) missing_find(j, &m);
  }
  if (m.count) missing_find(j, &m);
}

/* ---- many words ---- */

/* Of a record as many ids are copied whether it has them or not. What is behind it another thread may
 * be writing; that is not used, which the race detector cannot know. */
#define INLINE_IDS 4
#if defined(__SANITIZE_THREAD__)
#define COPIED_IDS(count) (count)
#else
#define COPIED_IDS(count) INLINE_IDS
#endif
#define POLL_BATCHES 256

/* Appends the ids of the words from *i on that are tokens or have records of few. */
INLINE void take_found(const struct words *j, const struct cache_batch *b, size_t *i,
                       bool counting) {
  const struct cache *c = j->w->cache;
  const uint64_t *arena = c->arena;
  uint32_t ids = c->ids, most = ids + (uint32_t)c->cap;
  uint32_t *out = j->out->ids + j->out->count;
  size_t k = *i, many = 0;
  for (; k < b->count; k++) {
    uint32_t token = b->values[k] - 1;
    if (token >= most) break; /* no value */
    const uint64_t *record = arena + (token < ids ? 0 : token - ids);
    size_t count = token < ids ? 1 : record_count(record);
    if (count > INLINE_IDS) break;
    if (!counting) {
      const uint32_t *from = record_ids(record);
      uint32_t first = token < ids ? token : *from;
      memcpy(out + many, from, COPIED_IDS(count) * sizeof *out);
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

/* The words of s in the batch; s stands at `base`. */
static int take_batch(const struct words *j, struct cache_batch *b, const char *s, const char *end,
                      uint64_t base) {
  struct cache *c = j->w->cache;
  int rc = 0;
  if (cache_is_full(c) && !c->shared) {
    cache_empty(c);
    b->found = b->lacks = 0;
  }
  find_batch(j, b, end);
  for (size_t i = 0; i < b->count && !rc; i++) {
    if ((rc = tokens_reserve(j->out, (b->count - i) * INLINE_IDS, j->spans, j->err))) break;
    size_t before = j->out->count;
    uint64_t at = base + (uint64_t)(b->words[i] - s);
    if (j->counted)
      take_found(j, b, &i, true);
    else
      take_found(j, b, &i, false);
    if (j->spans) add_spans(j, before, at);
    if (i == b->count) break;
    at = base + (uint64_t)(b->words[i] - s);
    rc = b->values[i] ? append_record(j, b->values[i], at)
                      : one(j, b->words[i], b->lens[i], end, cache_batch_part(b, i), at);
    if (j->counted) *j->counted += j->out->count, j->out->count = 0;
  }
  cache_batch_reset(b);
  return rc;
}

/* Words of a text on their way into batches. */
struct walk {
  const struct words *j;
  const char *s, *end;
  uint64_t base; /* where s stands */
  size_t batches;
  struct cache_batch b;
};

static int walk_flush(struct walk *w) {
  int rc = ++w->batches % POLL_BATCHES ? 0 : cancel_check(w->j->err);
  return rc ? rc : take_batch(w->j, &w->b, w->s, w->end, w->base);
}

INLINE int walk_put(struct walk *w, uint64_t key, const char *word, size_t n, bool part) {
  const struct cache *c = w->j->w->cache;
  cache_batch_add(c, &w->b, key, word, n, part);
  if (w->b.count % CACHE_AHEAD) return 0;
  cache_find_all(c, &w->b);
  return w->b.count == WORDS_BATCH ? walk_flush(w) : 0;
}

/* Whether one of the first eight bytes belongs to a character of several. n > CACHE_SHORT. */
static bool is_wide(const char *word) {
  uint64_t low;
  memcpy(&low, word, 8);
  return low & 0x8080808080808080u;
}

/* Where a long word may be cut first. Its end: it stays whole, as those of plain letters do, which
 * mostly come again and can seldom be cut. */
static size_t first_cut(const struct words *j, const struct cuts *cuts, const char *word,
                        size_t n) {
  if (!cuts || n <= CACHE_SHORT || (n <= CACHE_LONG && !is_wide(word))) return n;
  if (j->t->bpe.ignore_merges && n <= CACHE_LONG &&
      cuts_whole(cuts, n, cache_key_of(word, n, word + n, false)))
    return n;
  return cuts_next(cuts, word, n, 0);
}

/* A word of any length, anywhere. */
static int walk_any(struct walk *w, const char *word, size_t n) {
  const struct words *j = w->j;
  const struct cuts *cuts = j->whole ? NULL : cache_cuts(j->w->cache);
  size_t to = first_cut(j, cuts, word, n);
  bool part = to < n, apart = part && j->w->cache->apart;
  int rc = 0;
  for (size_t from = 0; from < n && !rc;
       from = to, to = from < n ? cuts_next(cuts, word, n, from) : n) {
    const char *piece = word + from;
    size_t len = to - from;
    if (len <= CACHE_LONG) {
      rc = walk_put(w, cache_key_of(piece, len, w->end, apart), piece, len, part);
      continue;
    }
    if (!(rc = walk_flush(w)))
      rc = one(j, piece, len, w->end, part, w->base + (uint64_t)(piece - w->s));
    if (j->counted) *j->counted += j->out->count, j->out->count = 0;
  }
  return rc;
}

INLINE int walk_add(struct walk *w, const char *word, size_t n) {
  if (n > CACHE_SHORT || w->end - word < (ptrdiff_t)CACHE_SHORT) return walk_any(w, word, n);
  return walk_put(w, cache_key(word, n, false), word, n, false);
}

/* Words that are cut wherever no token crosses: what is between spaces in SentencePiece's files is
 * mostly words and signs, each of which is known. */
static int walk_pieces(struct walk *w, const struct cuts *cuts, size_t start, const uint32_t *ends,
                       size_t count) {
  const char *s = w->s;
  size_t block = start, stop = ends[count - 1]; /* the mask is that of s[block, block + 64) */
  uint64_t mask = 0;
  int rc = 0;
  for (size_t i = 0, known = start; i < count && !rc; start = ends[i++]) {
    size_t from = start;
    for (size_t at = start + 1; at < ends[i] && !rc;) {
      if (at >= known) {
        block = at;
        known = stop - at < 64 ? stop : at + 64;
        mask = cuts_mask(cuts, s + at, known - at);
      }
      size_t to = ends[i] < known ? ends[i] : known;
      uint64_t here = mask >> (at - block);
      if (to - at < 64) here &= ((uint64_t)1 << (to - at)) - 1;
      for (; here && !rc; here &= here - 1) {
        size_t cut = at + (size_t)__builtin_ctzll(here);
        rc = walk_add(w, s + from, cut - from);
        from = cut;
      }
      at = to;
    }
    if (!rc) rc = walk_add(w, s + from, ends[i] - from);
  }
  return rc;
}

static int cached(const struct words *j, const char *s, size_t start, const uint32_t *ends,
                  size_t count, const char *end, uint64_t base) {
  struct walk w;
  const struct cuts *cuts = j->whole ? NULL : cache_cuts(j->w->cache);
  int rc = 0;
  w.j = j, w.s = s, w.end = end, w.base = base, w.batches = 0;
  cache_batch_reset(&w.b);
  if (cuts && j->kind == BPE_SPACES && !j->t->bpe.ignore_merges && count)
    rc = walk_pieces(&w, cuts, start, ends, count);
  else
    for (size_t i = 0; i < count && !rc; start = ends[i++])
      rc = walk_add(&w, s + start, ends[i] - start);
  return rc ? rc : walk_flush(&w);
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
  if (cache_is_full(j->w->cache) && !j->w->cache->shared) cache_empty(j->w->cache);
  return one(j, word, n, end, false, at);
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
