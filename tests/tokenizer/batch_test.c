/* SPDX-License-Identifier: MIT */
/* Batches over threads give what one call after the other gives; the cache and cutting words into
 * parts change nothing. */
#include "support/test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tokenizer/parts.h"

#include <string.h>

#define TEXTS 300

static const char *const bits[] = {"the ",   "tokenizer", " of",    "\n",      " 12",  "naïve ",
                                   "日本語", "の",        "文書",   " данных", "'s",   "()",
                                   "  ",     "</s>",      "return", "_x",      "“”",   "\xFF",
                                   ", ",     "abc",       "xyzzy",  "\t",      "ing ", "\u2581"};

static void random_text(struct rng *r, struct buf *out, size_t want) {
  buf_init(out);
  while (out->len < want) buf_adds(out, bits[rng_below(r, sizeof bits / sizeof *bits)]);
}

static struct tokenizer *trained(const struct buf *texts) {
  static const char *const special[] = {"</s>"};
  struct tokenizer_train_options o = {
      .vocab_size = 700, .special = special, .special_count = 1, .min_frequency = 2};
  struct tokenizer_train *tr = NULL;
  struct tokenizer *t = NULL;
  if (!tokenizer_train_new(&tr, &o, NULL))
    for (size_t i = 0; i < 40; i++) tokenizer_train_add(tr, texts[i].data, texts[i].len, NULL);
  if (tr) tokenizer_train_finish(tr, &t, NULL, NULL);
  tokenizer_train_free(tr);
  return t;
}

struct all {
  struct buf texts[TEXTS];
  struct tokenizer_text list[TEXTS];
  struct tokenizer *t;
};

static void all_init(struct all *a, size_t longest) {
  struct rng r;
  rng_seed(&r, 11);
  for (size_t i = 0; i < TEXTS; i++) {
    random_text(&r, &a->texts[i], i == 7 ? longest : rng_below(&r, 400));
    a->list[i] = (struct tokenizer_text){a->texts[i].data ? a->texts[i].data : "", a->texts[i].len};
  }
  a->t = trained(a->texts);
}

static void all_clear(struct all *a) {
  for (size_t i = 0; i < TEXTS; i++) buf_clear(&a->texts[i]);
  tokenizer_free(a->t);
}

/* Text i's ids are those of a call without any cache. */
static bool equal(const struct all *a, size_t i, int flags, const struct tokens *got, size_t from,
                  size_t to) {
  struct tokenizer_work bare = {.owner = a->t};
  struct tokens one = {0};
  bool same = !tokenizer_encode(a->t, &bare, a->list[i].s, a->list[i].n, flags, &one, NULL) &&
              one.count == to - from && !memcmp(one.ids, got->ids + from, one.count * 4);
  for (size_t k = 0; same && flags & TOKENIZER_SPANS && k < one.count; k++)
    same = one.spans[k].start == got->spans[from + k].start &&
           one.spans[k].end == got->spans[from + k].end;
  tokens_clear(&one);
  bpe_scratch_clear(&bare.scratch);
  buf_clear(&bare.prefixed);
  return same;
}

static void batch_equals(const struct all *a, unsigned threads, int flags) {
  struct tokenizer_team *team;
  struct tokens out = {0};
  size_t ends[TEXTS], counts[TEXTS], bad = 0;
  struct err err = {0};
  REQUIRE(!tokenizer_team_new(&team, a->t, threads, &err));
  for (int again = 0; again < 2; again++) {
    CHECK_INT(tokenizer_encode_batch(team, a->list, TEXTS, flags, &out, ends, &err), 0);
    for (size_t i = 0; i < TEXTS; i++)
      bad += !equal(a, i, flags, &out, i ? ends[i - 1] : 0, ends[i]);
    CHECK_INT(bad, 0);
    CHECK_INT(tokenizer_count_batch(team, a->list, TEXTS, flags, counts, &err), 0);
    for (size_t i = 0; i < TEXTS; i++) bad += counts[i] != ends[i] - (i ? ends[i - 1] : 0);
    CHECK_INT(bad, 0);
  }
  tokens_clear(&out);
  tokenizer_team_free(team);
}

static void batches_equal_single_calls(void) {
  static const int flags[] = {0, TOKENIZER_SPECIAL, TOKENIZER_SPANS, TOKENIZER_PLAIN};
  struct all a = {0};
  all_init(&a, 150000);
  REQUIRE(a.t);
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    batch_equals(&a, 1 + (unsigned)i, flags[i]);
  all_clear(&a);
}

static void a_long_text_is_shared_out(void) {
  struct all a = {0};
  all_init(&a, 2500000);
  REQUIRE(a.t);
  batch_equals(&a, 2, TOKENIZER_SPANS);
  all_clear(&a);
}

static void the_first_error_is_reported(void) {
  struct all a = {0};
  struct tokens out = {0};
  struct tokenizer_team *team;
  struct err err = {0};
  size_t ends[TEXTS];
  all_init(&a, 100);
  REQUIRE(a.t && !tokenizer_team_new(&team, a.t, 1, &err));
  a.list[9].n = (size_t)UINT32_MAX + 1; /* refused before it is read */
  CHECK_INT(tokenizer_encode_batch(team, a.list, TEXTS, 0, &out, ends, &err), ERR_LIMIT);
  CHECK_INT(out.count, 0);
  tokens_clear(&out);
  tokenizer_team_free(team);
  all_clear(&a);
}

/* More distinct words than a small table holds, so that it grows, and its arenas fill. */
static void the_cache_grows_and_changes_nothing(void) {
  struct all a = {0};
  struct tokenizer_work *w;
  struct tokens got = {0};
  struct rng r;
  struct buf text;
  size_t bad = 0;
  all_init(&a, 100);
  REQUIRE(a.t && !tokenizer_work_new(&w, a.t, NULL));
  rng_seed(&r, 5);
  buf_init(&text);
  for (int round = 0; round < 40; round++) {
    buf_reset(&text);
    for (int i = 0; i < 500; i++) {
      size_t n = 1 + rng_below(&r, rng_below(&r, 10) ? 12 : 90);
      buf_addc(&text, ' ');
      while (n--) buf_addc(&text, (char)('a' + rng_below(&r, 26)));
    }
    a.list[0] = (struct tokenizer_text){text.data, text.len};
    int flags = round % 2 ? TOKENIZER_SPANS : 0;
    tokens_reset(&got);
    CHECK_INT(tokenizer_encode(a.t, w, text.data, text.len, flags, &got, NULL), 0);
    bad += !equal(&a, 0, flags, &got, 0, got.count);
  }
  CHECK_INT(bad, 0);
  buf_clear(&text);
  tokens_clear(&got);
  tokenizer_work_free(w);
  all_clear(&a);
}

int main(void) {
  TEST(batches_equal_single_calls);
  TEST(a_long_text_is_shared_out);
  TEST(the_first_error_is_reported);
  TEST(the_cache_grows_and_changes_nothing);
  return test_done();
}
