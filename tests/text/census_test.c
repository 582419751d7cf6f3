/* SPDX-License-Identifier: MIT */
#include "text/census.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "support/test.h"

static void small_values_are_exact(void) {
  struct spread *s = spread_new();
  REQUIRE(s != NULL);
  CHECK_INT(spread_percentile(s, 0.5), 0);
  for (uint64_t v = 1; v <= 100; v++) spread_add(s, v, 1);
  CHECK_INT(spread_percentile(s, 0.5), 50);
  CHECK_INT(spread_percentile(s, 0.9), 90);
  CHECK_INT(spread_percentile(s, 0), 1);
  CHECK_INT(spread_percentile(s, 1), 100);
  CHECK_INT(spread_between(s, 10, 20), 10);
  CHECK_CLOSE(spread_facts(s).sum, 5050, 0);
  spread_free(s);
}

static void large_values_are_near(void) {
  static const uint64_t values[] = {255, 256, 257, 1000, 65535, 65536, 1u << 30, UINT64_MAX / 3};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    struct spread *s = spread_new();
    REQUIRE(s != NULL);
    spread_add(s, 0, 1);
    spread_add(s, values[i], 9);
    double got = (double)spread_percentile(s, 0.5), want = (double)values[i];
    CHECK(got <= want && got >= want * (1 - 1.0 / 128));
    CHECK_INT(spread_facts(s).greatest, values[i]);
    CHECK_INT(spread_between(s, 0, UINT64_MAX), 10);
    spread_free(s);
  }
}

static void add(struct census *c, const char *text, uint64_t characters, uint64_t words) {
  struct census_text facts;
  struct err err;
  CHECK_INT(census_add(c, text, strlen(text), &facts, &err), 0);
  CHECK_INT(facts.characters, characters);
  CHECK_INT(facts.words, words);
}

static void counts_words_openings_and_texts(void) {
  struct census *c;
  struct census_entry top[3];
  struct err err;
  REQUIRE(census_new(&c, 1 << 20, &err) == 0);
  add(c, "Don't stop, DON'T stop!", 23, 4);
  add(c, "Don't stop, DON'T stop!", 23, 4);
  add(c, "Don't stop now", 14, 3);
  add(c, "Ünder ünder 日本", 14, 3);
  add(c, "", 0, 0);
  struct census_count n = census_count(c, CENSUS_WORDS);
  CHECK_INT(n.distinct, 5); /* don't stop now ünder 日本 */
  CHECK_INT(n.total, 14);
  CHECK(n.complete);
  CHECK_INT(census_count(c, CENSUS_TEXTS).distinct, 4);
  CHECK_INT(census_count(c, CENSUS_TEXTS).total, 5);
  CHECK_INT(census_count(c, CENSUS_OPENINGS).distinct, 3);
  REQUIRE(census_top(c, CENSUS_WORDS, top, 3) == 3);
  CHECK_MEM(top[0].text, top[0].len, "don't", 5);
  CHECK_INT(top[0].count, 5);
  CHECK_MEM(top[1].text, top[1].len, "stop", 4);
  CHECK_MEM(top[2].text, top[2].len, "ünder", 6);
  CHECK_INT(census_top(c, CENSUS_OPENINGS, top, 3), 3);
  CHECK_MEM(top[0].text, top[0].len, "Don't stop", 10);
  CHECK_INT(top[0].count, 3);
  census_free(c);
}

/* What is remembered stays right when the memory is used up. */
static void says_at_least_when_full(void) {
  struct census *c;
  struct census_text facts;
  struct err err;
  struct rng r;
  char word[32];
  rng_seed(&r, 7);
  REQUIRE(census_new(&c, 1 << 20, &err) == 0);
  CHECK_INT(census_add(c, "first", 5, &facts, &err), 0);
  for (int i = 0; i < 200000; i++) {
    int n = snprintf(word, sizeof word, "w%llu", (unsigned long long)(rng_u64(&r) >> 20));
    CHECK_INT(census_add(c, word, (size_t)n, &facts, &err), 0);
  }
  CHECK_INT(census_add(c, "first", 5, &facts, &err), 0);
  struct census_count n = census_count(c, CENSUS_WORDS);
  CHECK(!n.complete && n.distinct > 5000 && n.distinct < 200000);
  CHECK_INT(n.total, 200002);
  struct census_entry top;
  CHECK_INT(census_top(c, CENSUS_WORDS, &top, 1), 1);
  CHECK_MEM(top.text, top.len, "first", 5);
  census_free(c);
}

int main(void) {
  TEST(small_values_are_exact);
  TEST(large_values_are_near);
  TEST(counts_words_openings_and_texts);
  TEST(says_at_least_when_full);
  return test_done();
}
