/* SPDX-License-Identifier: MIT */
/* The word cache: what is found is the word's own, whatever else was kept. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "support/test.h"
#include "tokenizer/cache.h"

enum { WORDS = 60000, WORD_MAX = 40, IDS = 50000 };

struct known {
  char word[WORD_MAX + 16];
  size_t n, count;
  uint32_t ids[6];
};

/* Words of few letters, zero bytes among them, so that many begin and end like others. */
static void make_word(struct rng *r, struct known *w) {
  static const char letters[] = "ab \0\xC3\xA9";
  memset(w, 0, sizeof *w);
  w->n = 1 + rng_below(r, rng_below(r, 4) ? 18 : WORD_MAX);
  for (size_t i = 0; i < w->n; i++)
    w->word[i] = rng_below(r, 3) ? letters[rng_below(r, 6)] : (char)rng_below(r, 256);
  uint64_t h = hash_xxh3(w->word, w->n, 0); /* the same word has the same ids */
  w->count = h % 7 ? 1 + h % 3 : h % 6;
  for (size_t i = 0; i < w->count; i++) w->ids[i] = (uint32_t)(h >> (8 * i)) % IDS;
}

static bool is_known(const struct cache *c, uint32_t value, const struct known *w) {
  if (value <= c->ids) return w->count == 1 && value - 1 == w->ids[0];
  const uint64_t *record = cache_record(c, value);
  return record_count(record) == w->count &&
         !memcmp(record_ids(record), w->ids, w->count * sizeof *w->ids);
}

static uint32_t value_of(const struct cache *c, const struct known *w, bool part) {
  const char *end = w->word + sizeof w->word;
  uint32_t value = cache_find(c, w->n, cache_key_of(w->word, w->n, end, part));
  bool longer = w->n > CACHE_TINY;
  return value && longer && !cache_is(c, value, w->word, w->n, end, part) ? 0 : value;
}

static uint32_t keep(struct cache *c, const struct known *w, bool part) {
  uint64_t key = cache_key_of(w->word, w->n, w->word + w->n, part);
  return cache_keep(c, w->word, w->n, part, key, w->ids, w->count);
}

static void what_is_found_is_right(void) {
  struct known *words = mem_zeros(WORDS, sizeof *words);
  struct cache *c = cache_new();
  struct rng r;
  size_t wrong = 0, lost = 0, made_up = 0;
  REQUIRE(words && c && cache_ready(c, IDS, false));
  rng_seed(&r, 3);
  for (size_t i = 0; i < WORDS; i++) {
    make_word(&r, &words[i]);
    if (i % 2) continue; /* every other one is not kept */
    uint32_t value = keep(c, &words[i], false);
    wrong += !value || !is_known(c, value, &words[i]);
  }
  for (size_t i = 0; i < WORDS; i++) {
    uint32_t value = value_of(c, &words[i], false);
    if (value) wrong += !is_known(c, value, &words[i]);
    lost += !value && i % 2 == 0;
    made_up += value_of(c, &words[i], true) != 0;
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(made_up, 0); /* a part is no word */
  CHECK(lost < WORDS / 2 / 20);
  CHECK(c->bits > 10); /* it grew */
  cache_free(c);
  mem_free(words);
}

static void batches_find_what_single_words_find(void) {
  static const enum scan_masks all[] = {SCAN_PLAIN, SCAN_AVX2, SCAN_AVX512};
  struct known *words = mem_zeros(WORDS_BATCH, sizeof *words);
  struct cache_batch *b = mem_zero(sizeof *b);
  struct cache *c = cache_new();
  struct rng r;
  size_t wrong = 0, found = 0;
  REQUIRE(words && b && c && cache_ready(c, IDS, false));
  rng_seed(&r, 4);
  for (int round = 0; round < 60; round++) {
    cache_batch_reset(b);
    for (size_t i = 0; i < WORDS_BATCH; i++) {
      make_word(&r, &words[i]);
      if (rng_below(&r, 2)) keep(c, &words[i], false);
    }
    for (size_t k = 0; k < 3 && all[k] <= scan_masks_best(); k++) {
      cache_batch_reset(b);
      for (size_t i = 0; i < WORDS_BATCH; i++) {
        const struct known *w = &words[i];
        uint64_t key = cache_key_of(w->word, w->n, w->word + w->n, false);
        cache_batch_add(c, b, key, w->word, w->n, i % 3 == 0);
        if (i % CACHE_AHEAD == 100) cache_find_all_with(all[k], c, b);
      }
      cache_find_all_with(all[k], c, b);
      size_t longer = 0;
      for (size_t i = 0; i < WORDS_BATCH; i++) {
        const struct known *w = &words[i];
        uint64_t key = cache_key_of(w->word, w->n, w->word + w->n, false);
        wrong += b->values[i] != cache_find(c, w->n, key) || cache_batch_part(b, i) != (i % 3 == 0);
        found += b->values[i] != 0;
        if (w->n > CACHE_TINY) wrong += b->others[longer++] != i;
      }
      wrong += longer != b->longer;
    }
  }
  CHECK_INT(wrong, 0);
  CHECK(found > 1000);
  cache_free(c);
  mem_free(b);
  mem_free(words);
}

/* Another word's record may be found by accident; it is compared. */
static void records_are_compared(void) {
  struct cache *c = cache_new();
  struct known w = {.word = "internationally", .n = 15, .count = 2, .ids = {7, 8}}, other = w;
  REQUIRE(c && cache_ready(c, IDS, true));
  uint32_t value = keep(c, &w, false);
  const char *end = other.word + sizeof other.word;
  CHECK(cache_is(c, value, w.word, w.n, w.word + w.n, false));
  CHECK(!cache_is(c, value, w.word, w.n, w.word + w.n, true));
  CHECK(!cache_is(c, value, w.word, w.n - 1, end, false));
  CHECK(!cache_is(c, 9, w.word, w.n, end, false)); /* a token: of a tiny word */
  for (size_t i = 0; i < w.n; i++) {
    other.word[i] ^= 1;
    CHECK(!cache_is(c, value, other.word, other.n, end, false));
    other.word[i] ^= 1;
  }
  CHECK_INT(keep(c, &w, false), value); /* kept once */
  CHECK(keep(c, &w, true) != value);
  cache_free(c);
}

static void a_full_arena_is_emptied(void) {
  struct cache *c = cache_new();
  char word[CACHE_LONG];
  uint32_t ids[CACHE_LONG], kept = 0;
  REQUIRE(c && cache_ready(c, IDS, false));
  memset(word, 'x', sizeof word);
  for (uint32_t i = 0; i < CACHE_LONG; i++) ids[i] = i;
  for (uint32_t i = 0; i < 100000 && !c->full; i++) {
    memcpy(word, &i, sizeof i);
    uint64_t key = cache_key_of(word, CACHE_LONG, word + CACHE_LONG, false);
    kept += cache_keep(c, word, CACHE_LONG, false, key, ids, CACHE_LONG) != 0;
  }
  CHECK(c->full && kept > 10000);
  uint64_t key = cache_key_of("other", 5, "other" + 5, false);
  CHECK_INT(cache_keep(c, "other", 5, false, key, ids, 2), 0);
  cache_empty(c);
  CHECK(!c->full && cache_keep(c, "other", 5, false, key, ids, 2));
  CHECK(cache_find(c, 5, key));
  key = cache_key_of(word, CACHE_LONG, word + CACHE_LONG, false);
  CHECK_INT(cache_find(c, CACHE_LONG, key), 0);
  cache_free(c);
}

/* ---- shared ---- */

enum { LANES = 4, SHARED_WORDS = 30000 };

struct sharing {
  struct cache *caches[LANES];
  struct known *words;
  size_t wrong[LANES], kept[LANES];
};

/* Looks for every word, and keeps those of which nothing is known: each thread begins elsewhere. */
static void keep_all(void *arg, size_t lane) {
  struct sharing *s = arg;
  struct cache *c = s->caches[lane];
  for (size_t i = 0; i < SHARED_WORDS; i++) {
    const struct known *w = &s->words[(i + lane * 1000) % SHARED_WORDS];
    uint32_t value = value_of(c, w, false);
    if (!value) value = keep(c, w, false);
    s->kept[lane] += value != 0;
    s->wrong[lane] += value && !is_known(c, value, w);
  }
}

static bool sharing_new(struct sharing *s, size_t bytes) {
  struct rng r;
  memset(s, 0, sizeof *s);
  rng_seed(&r, 5);
  if (!(s->words = mem_zeros(SHARED_WORDS, sizeof *s->words))) return false;
  for (size_t i = 0; i < SHARED_WORDS; i++) make_word(&r, &s->words[i]);
  for (size_t i = 0; i < LANES; i++)
    if (!(s->caches[i] = cache_new())) return false;
  return cache_share(s->caches, LANES, IDS, false, bytes);
}

static void sharing_free(struct sharing *s) {
  for (size_t i = 0; i < LANES; i++) cache_free(s->caches[i]);
  mem_free(s->words);
}

static size_t found_by(struct sharing *s, size_t lane) {
  size_t found = 0;
  for (size_t i = 0; i < SHARED_WORDS; i++) {
    uint32_t value = value_of(s->caches[lane], &s->words[i], false);
    found += value && is_known(s->caches[lane], value, &s->words[i]);
  }
  return found;
}

static void threads_share_what_they_keep(void) {
  struct sharing s;
  struct pool *pool;
  struct err err;
  REQUIRE(sharing_new(&s, (size_t)16 << 20) && !pool_new(&pool, LANES, &err));
  for (int round = 0; round < 2; round++) {
    CHECK(!pool_run(pool, LANES, keep_all, &s));
    for (size_t i = 0; i < LANES; i++) {
      CHECK_INT(s.wrong[i], 0);
      CHECK(s.kept[i] > (size_t)(round + 1) * SHARED_WORDS / 100 * 99);
      CHECK_INT(found_by(&s, i), found_by(&s, 0));
    }
    REQUIRE(cache_share(s.caches, LANES, IDS, false, (size_t)64 << 20)); /* larger, and the same */
  }
  CHECK(found_by(&s, 1) > SHARED_WORDS / 100 * 99);
  pool_free(pool);
  sharing_free(&s);
}

/* Its size is that of the text, since a table of many megabytes takes longer to be made than a short
 * text to be encoded. */
static void a_full_shared_cache_is_emptied_for_the_next_text(void) {
  struct sharing s;
  char word[CACHE_LONG];
  uint32_t ids[CACHE_LONG] = {0}, kept = 0;
  REQUIRE(sharing_new(&s, (size_t)1 << 20));
  CHECK(s.caches[0]->bits <= 12);
  memset(word, 'x', sizeof word);
  for (uint32_t i = 0; i < 100000 && !cache_is_full(s.caches[0]); i++) {
    memcpy(word, &i, sizeof i);
    uint64_t key = cache_key_of(word, CACHE_LONG, word + CACHE_LONG, false);
    kept += cache_keep(s.caches[i % LANES], word, CACHE_LONG, false, key, ids, CACHE_LONG) != 0;
  }
  for (size_t i = 0; i < LANES; i++) CHECK(cache_is_full(s.caches[i]));
  CHECK(kept > 500 && kept < 1 << 20);
  keep_all(&s, 2);
  CHECK_INT(s.wrong[2], 0);
  CHECK(s.kept[2] < SHARED_WORDS / 2); /* the tokens among them need no room */
  REQUIRE(cache_share(s.caches, LANES, IDS, false, (size_t)16 << 20));
  CHECK_INT(found_by(&s, 2), 0);
  for (size_t i = 0; i < LANES; i++) keep_all(&s, i);
  for (size_t i = 0; i < LANES; i++)
    CHECK(!s.wrong[i] && found_by(&s, i) > SHARED_WORDS / 100 * 99);
  sharing_free(&s);
}

/* Many small texts one after the other have as many words as one large one. */
static void a_shared_cache_grows_from_text_to_text(void) {
  struct sharing s;
  size_t before = 0;
  REQUIRE(sharing_new(&s, 20000));
  unsigned bits = s.caches[0]->bits;
  for (int round = 0; round < 12; round++) {
    keep_all(&s, (size_t)round % LANES);
    CHECK(found_by(&s, 0) >= before);
    before = found_by(&s, 1);
    REQUIRE(cache_share(s.caches, LANES, IDS, false, 20000));
    CHECK(!cache_is_full(s.caches[0]));
  }
  CHECK(before > SHARED_WORDS / 100 * 99);
  CHECK(s.caches[0]->bits > bits && s.caches[0]->bits < 14);
  for (size_t i = 0; i < LANES; i++) CHECK_INT(s.wrong[i], 0);
  sharing_free(&s);
}

int main(void) {
  TEST(what_is_found_is_right);
  TEST(batches_find_what_single_words_find);
  TEST(records_are_compared);
  TEST(a_full_arena_is_emptied);
  TEST(threads_share_what_they_keep);
  TEST(a_full_shared_cache_is_emptied_for_the_next_text);
  TEST(a_shared_cache_grows_from_text_to_text);
  return test_done();
}
