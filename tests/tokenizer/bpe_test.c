/* SPDX-License-Identifier: MIT */
/* The model against the plainest way of merging, over tables of merges that no training makes:
 * results that are a part, results of several merges, cycles, a pair given twice. Then what words
 * become symbols of, and how time grows with length.
 */
#include "support/test.h"

#include "base/buf.h"
#include "base/rng.h"
#include "tokenizer/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- random merges ---- tokens a, b, c …, the first of them single letters */

static struct tokenizer *random_model(struct rng *rng, unsigned letters, unsigned tokens,
                                      unsigned merges) {
  struct tokenizer *t;
  char name[16];
  if (tokenizer_new(&t, NULL)) return NULL;
  for (uint32_t id = 0; id < tokens; id++) {
    int n = id < letters ? snprintf(name, sizeof name, "%c", 'a' + (int)id)
                         : snprintf(name, sizeof name, "<%u>", id);
    CHECK_INT(vocab_add(&t->vocab, name, (size_t)n, id, NULL), 0);
  }
  for (unsigned i = 0; i < merges; i++) {
    uint32_t left = (uint32_t)rng_below(rng, tokens), right = (uint32_t)rng_below(rng, tokens);
    uint32_t to = (uint32_t)rng_below(rng, tokens);
    if (rng_below(rng, 4) == 0) to = rng_below(rng, 2) ? left : right;
    CHECK_INT(bpe_add(&t->bpe, left, right, to, NULL), 0);
  }
  vocab_seal(&t->vocab);
  t->bpe.rank_bits = (const uint32_t[]){0, 27, 28}[rng_below(rng, 3)];
  CHECK_INT(bpe_finish(&t->bpe, &t->vocab, NULL), 0);
  return t;
}

#define TOKENS_MAX 20

struct plain {
  uint32_t rank[TOKENS_MAX][TOKENS_MAX]; /* a pair given twice has its last rank */
  const struct bpe_merge *merges;
};

static struct plain plain_of(const struct bpe *b) {
  struct plain p = {.merges = b->merges};
  memset(p.rank, 0xFF, sizeof p.rank);
  for (size_t i = 0; i < b->count; i++) p.rank[b->merges[i].left][b->merges[i].right] = (uint32_t)i;
  return p;
}

static size_t plain_merge(const struct plain *p, uint32_t *ids, size_t n) {
  for (;;) {
    uint32_t low = UINT32_MAX;
    size_t at = 0;
    for (size_t i = 0; i + 1 < n; i++) {
      uint32_t rank = p->rank[ids[i]][ids[i + 1]];
      if (rank < low) low = rank, at = i;
    }
    if (low == UINT32_MAX) return n;
    ids[at] = p->merges[low].result;
    memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
    n--;
  }
}

static void same_as_plain(struct rng *rng, struct tokenizer *t, unsigned letters, size_t longest) {
  struct tokenizer_work *w;
  struct plain p = plain_of(&t->bpe);
  char word[1024];
  uint32_t want[1024];
  CHECK_INT(tokenizer_work_new(&w, t, NULL), 0);
  for (int k = 0; k < 6; k++) {
    struct tokens got = {0};
    size_t n = 1 + rng_below(rng, longest), covered = 0;
    unsigned used = 1 + (unsigned)rng_below(rng, letters);
    for (size_t i = 0; i < n; i++) word[i] = (char)('a' + rng_below(rng, used));
    for (size_t i = 0; i < n; i++) want[i] = (uint32_t)(word[i] - 'a');
    size_t count = plain_merge(&p, want, n);
    CHECK_INT(bpe_word(t, w, word, n, k % 3, &got, k & 1, 10, NULL), 0);
    CHECK_INT(got.count, count);
    CHECK(got.count == count && !memcmp(got.ids, want, count * sizeof *want));
    for (size_t i = 0; i < got.count && k & 1; i++) {
      CHECK_INT(got.spans[i].start, 10 + covered);
      covered = got.spans[i].end - 10;
    }
    if (k & 1) CHECK_INT(covered, n);
    tokens_clear(&got);
  }
  tokenizer_work_free(w);
}

static void merging_equals_the_plain_way(void) {
  struct rng rng;
  rng_seed(&rng, 3);
  for (int i = 0; i < 400; i++) {
    unsigned letters = 1 + (unsigned)rng_below(&rng, 6);
    unsigned tokens = letters + 1 + (unsigned)rng_below(&rng, 12);
    unsigned merges = 1 + (unsigned)rng_below(&rng, i % 4 ? 20 : 200);
    struct tokenizer *t = random_model(&rng, letters, tokens, merges);
    same_as_plain(&rng, t, letters, i % 3 ? 80 : 400);
    tokenizer_free(t);
  }
}

/* Words side by side, with each kind of instructions. Ranks of 28 bits do not fit, and are refused. */
static void lanes_equal_the_plain_way(void) {
  static const enum scan_masks all[] = {SCAN_PLAIN, SCAN_AVX2, SCAN_AVX512};
  static char words[BPE_LANES][BPE_LANE];
  static struct bpe_lane lanes[BPE_LANES];
  size_t sizes[BPE_LANES], wrong = 0;
  struct rng rng;
  rng_seed(&rng, 9);
  for (int round = 0; round < 600; round++) {
    unsigned letters = 1 + (unsigned)rng_below(&rng, 6);
    unsigned tokens = letters + 1 + (unsigned)rng_below(&rng, 12);
    struct tokenizer *t =
        random_model(&rng, letters, tokens, 1 + (unsigned)rng_below(&rng, round % 4 ? 20 : 200));
    struct plain p = plain_of(&t->bpe);
    size_t count = 1 + rng_below(&rng, BPE_LANES);
    for (size_t i = 0; i < count; i++) {
      sizes[i] = 1 + rng_below(&rng, BPE_LANE);
      for (size_t k = 0; k < sizes[i]; k++) words[i][k] = (char)('a' + rng_below(&rng, letters));
    }
    for (size_t how = 0; how < 3 && all[how] <= scan_masks_best(); how++) {
      bool taken = true;
      for (size_t i = 0; i < count; i++)
        taken = bpe_lane_begin(&t->bpe, &lanes[i], words[i], sizes[i], BPE_CHARACTERS) && taken;
      CHECK_INT(taken, t->bpe.rank_bits <= BPE_LANE_RANK);
      if (!taken) break;
      bpe_lanes_merge_with(all[how], &t->bpe, lanes, count);
      for (size_t i = 0; i < count; i++) {
        uint32_t want[BPE_LANE], got[BPE_LANE];
        for (size_t k = 0; k < sizes[i]; k++) want[k] = (uint32_t)(words[i][k] - 'a');
        size_t n = plain_merge(&p, want, sizes[i]);
        wrong += bpe_lane_ids(&lanes[i], got) != n || memcmp(want, got, n * sizeof *want) != 0;
      }
    }
    CHECK(!bpe_lane_begin(&t->bpe, &lanes[0], "?", 1, BPE_CHARACTERS)); /* no token */
    CHECK(!bpe_lane_begin(&t->bpe, &lanes[0], "", 0, BPE_CHARACTERS));
    tokenizer_free(t);
  }
  CHECK_INT(wrong, 0);
}

/* (a,a) gives t, (x,t) gives a again: where windows meet depends on all that came before, so that
 * they grow, and a heap merges them. Further merges are there to be mistaken for these two. */
static void windows_that_never_meet(void) {
  static char word[6000];
  static uint32_t want[6000];
  struct tokens got = {0};
  struct tokenizer *t;
  struct tokenizer_work *w;
  size_t n = sizeof word;
  CHECK_INT(tokenizer_new(&t, NULL), 0);
  static const char letters[TOKENS_MAX + 1] = "axtbcdefghijklmnopqr";
  for (uint32_t id = 0; id < TOKENS_MAX; id++)
    CHECK_INT(vocab_add(&t->vocab, &letters[id], 1, id, NULL), 0);
  CHECK_INT(bpe_add(&t->bpe, 1, 2, 0, NULL), 0);
  CHECK_INT(bpe_add(&t->bpe, 0, 0, 2, NULL), 0);
  for (uint32_t id = 3; id < TOKENS_MAX; id++) CHECK_INT(bpe_add(&t->bpe, id, id, 0, NULL), 0);
  t->bpe.rank_bits = 28;
  vocab_seal(&t->vocab);
  CHECK_INT(bpe_finish(&t->bpe, &t->vocab, NULL), 0);
  CHECK_INT(tokenizer_work_new(&w, t, NULL), 0);
  struct plain p = plain_of(&t->bpe);
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < n; i++) want[i] = (uint32_t)((word[i] = "axaaa"[i % 5]) == 'x');
    size_t count = plain_merge(&p, want, n);
    tokens_reset(&got);
    CHECK_INT(bpe_word(t, w, word, n, BPE_CHARACTERS, &got, false, 0, NULL), 0);
    CHECK_MEM(got.ids, got.count * sizeof *want, want, count * sizeof *want);
  }
  tokens_clear(&got);
  tokenizer_work_free(w);
  tokenizer_free(t);
}

/* ---- time ---- */

static double seconds_for(struct tokenizer *t, const char *word, size_t n) {
  struct tokens out = {0};
  struct tokenizer_work *w;
  struct timespec from, to;
  CHECK_INT(tokenizer_work_new(&w, t, NULL), 0);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
  CHECK_INT(bpe_word(t, w, word, n, BPE_CHARACTERS, &out, false, 0, NULL), 0);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
  tokens_clear(&out);
  tokenizer_work_free(w);
  return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* The best of several tries, since other work on the machine disturbs. */
static void check_growth(struct tokenizer *t, const char *what, const char *word, size_t n) {
  double least = 1e9;
  for (int i = 0; i < 6 && least > 12; i++) {
    double small = seconds_for(t, word, n / 10), large = seconds_for(t, word, n);
    if (large < least * small) least = large / small;
  }
  if (least > 12)
    test_fail(__FILE__, __LINE__, "%s: ten times the length takes %.1f times", what, least);
}

/* Powers of two of one letter, up to the whole word; every pair of two others. */
static void long_words_take_linear_time(void) {
  enum { N = 400000 };
  static char word[N];
  struct tokenizer *t;
  struct rng rng;
  char name[4];
  CHECK_INT(tokenizer_new(&t, NULL), 0);
  static const char letters[] = "abc";
  for (uint32_t id = 0; id < 3; id++) CHECK_INT(vocab_add(&t->vocab, &letters[id], 1, id, NULL), 0);
  for (uint32_t id = 3; id < 30; id++) {
    int n = snprintf(name, sizeof name, "%u", id);
    CHECK_INT(vocab_add(&t->vocab, name, (size_t)n, id, NULL), 0);
  }
  CHECK_INT(bpe_add(&t->bpe, 0, 0, 3, NULL), 0);
  for (uint32_t id = 3; id < 22; id++) CHECK_INT(bpe_add(&t->bpe, id, id, id + 1, NULL), 0);
  for (uint32_t k = 0; k < 4; k++)
    CHECK_INT(bpe_add(&t->bpe, 1 + k / 2, 1 + k % 2, 24 + k, NULL), 0);
  vocab_seal(&t->vocab);
  CHECK_INT(bpe_finish(&t->bpe, &t->vocab, NULL), 0);
  memset(word, 'a', N);
  check_growth(t, "one letter, tokens without end", word, N);
  rng_seed(&rng, 5);
  for (size_t i = 0; i < N; i++) word[i] = (char)('b' + rng_below(&rng, 2));
  check_growth(t, "two letters", word, N);
  for (size_t i = 0; i < N; i++) word[i] = (char)('a' + rng_below(&rng, 3));
  check_growth(t, "three letters", word, N);
  tokenizer_free(t);
}

int main(void) {
  TEST(merging_equals_the_plain_way);
  TEST(lanes_equal_the_plain_way);
  TEST(windows_that_never_meet);
  TEST(long_words_take_linear_time);
  return test_done();
}
