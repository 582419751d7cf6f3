/* SPDX-License-Identifier: MIT */
/* Training where Lua cannot look: cancelling at each of its stages, threads, many run files. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/train.h"

static void random_text(struct buf *out, uint64_t seed, size_t words) {
  struct rng rng;
  buf_init(out);
  rng_seed(&rng, seed);
  for (size_t i = 0; i < words; i++) {
    char word[8];
    size_t n = 2 + (size_t)rng_below(&rng, 4);
    for (size_t k = 0; k < n; k++) word[k] = (char)('a' + rng_below(&rng, 12));
    buf_add(out, word, n);
    buf_addc(out, i % 9 ? ' ' : '\n');
  }
}

static int train(const struct tokenizer_train_options *o, const struct buf *text, struct buf *json,
                 struct tokenizer_train_facts *facts, struct err *err) {
  struct tokenizer_train *tr;
  struct tokenizer *t = NULL;
  int rc = tokenizer_train_new(&tr, o, err);
  if (!rc) rc = tokenizer_train_add(tr, text->data, text->len, err);
  if (!rc) rc = tokenizer_train_finish(tr, &t, facts, err);
  if (!rc) rc = tokenizer_write(t, json, err);
  tokenizer_free(t);
  tokenizer_train_free(tr);
  return rc;
}

/* One long text is cut into slices, which several threads count. */
static void slices_and_threads(void) {
  struct buf text, one, other;
  struct pool *pool;
  struct err err = {0};
  struct tokenizer_train_facts facts, cut;
  struct tokenizer_train_options o = {.vocab_size = 700};
  random_text(&text, 1, 400000);
  buf_init(&one);
  buf_init(&other);
  CHECK_INT(train(&o, &text, &one, &facts, &err), 0);
  REQUIRE(!pool_new(&pool, 3, &err));
  o.pool = pool;
  CHECK_INT(train(&o, &text, &other, &cut, &err), 0);
  CHECK(one.len == other.len && !memcmp(one.data, other.data, one.len));
  CHECK_INT(facts.words, cut.words);
  CHECK_INT(facts.distinct, cut.distinct);
  pool_free(pool);
  buf_clear(&text);
  buf_clear(&one);
  buf_clear(&other);
}

static void cancelling_is_met(void) {
  struct buf text, json;
  struct err err = {0};
  struct tokenizer_train *tr;
  struct tokenizer *t = NULL;
  struct tokenizer_train_options o = {.vocab_size = 400};
  random_text(&text, 2, 100000);
  buf_init(&json);
  cancel_request();
  CHECK_INT(train(&o, &text, &json, NULL, &err), ERR_CANCELLED);
  cancel_clear();
  REQUIRE(!tokenizer_train_new(&tr, &o, &err));
  CHECK_INT(tokenizer_train_add(tr, text.data, text.len, &err), 0);
  cancel_request();
  CHECK_INT(tokenizer_train_finish(tr, &t, NULL, &err), ERR_CANCELLED);
  CHECK(t == NULL);
  cancel_clear();
  CHECK_INT(tokenizer_train_finish(tr, &t, NULL, &err), ERR_MISUSE);
  CHECK_INT(tokenizer_train_add(tr, "a", 1, &err), ERR_MISUSE);
  tokenizer_train_free(tr);
  buf_clear(&text);
  buf_clear(&json);
}

/* Tables far too small make more runs than are read at once. */
static void many_runs(void) {
  struct train_runs runs;
  struct train_words words;
  struct train_union u;
  struct train_item item;
  struct rng rng;
  struct err err = {0};
  uint32_t counts[5000] = {0};
  size_t distinct = 0, added = 200000;
  int got, rc = 0;
  rng_seed(&rng, 3);
  REQUIRE(!runs_init(&runs, test_dir(), &err));
  REQUIRE(!words_init(&words, 4096 * 8 + 1024 * 26 + 16384, &runs, &err));
  for (size_t i = 0; i < added && !rc; i++) {
    char word[32];
    uint64_t n = rng_below(&rng, 5000);
    counts[n]++;
    int len = snprintf(word, sizeof word, n % 3 ? "%llu" : "a long word with a number: %llu",
                       (unsigned long long)n);
    rc = words_add(&words, word, 0, (const uint32_t[]){(uint32_t)len}, 1, &err);
  }
  CHECK_INT(rc, 0);
  CHECK(atomic_load(&runs.made) > TRAIN_RUNS);
  CHECK_INT(runs_reduce(&runs, &err), 0);
  CHECK(atomic_load(&runs.made) - runs.first <= TRAIN_RUNS);
  CHECK_INT(union_open(&u, &runs, atomic_load(&runs.made) - runs.first, &words, 1, &err), 0);
  while ((got = union_next(&u, &item, &err)) > 0) {
    unsigned long long n = 0;
    char word[32] = {0};
    memcpy(word, item.word, item.len);
    REQUIRE(sscanf(strrchr(word, ' ') ? strrchr(word, ' ') : word, "%llu", &n) == 1);
    CHECK_INT(item.count, counts[n]);
    distinct++;
  }
  CHECK_INT(got, 0);
  CHECK_INT(distinct, 5000);
  union_close(&u);
  words_clear(&words);
  runs_clear(&runs);
}

/* The hash that orders words must not have a pattern for words of any length. */
static void hashes_differ(void) {
  char word[40] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  uint64_t seen[39];
  for (size_t n = 0; n < 39; n++) {
    seen[n] = word_hash(word, n);
    for (size_t k = 0; k < n; k++) CHECK(seen[k] != seen[n]);
  }
}

int main(void) {
  TEST(slices_and_threads);
  TEST(cancelling_is_met);
  TEST(many_runs);
  TEST(hashes_differ);
  return test_done();
}
