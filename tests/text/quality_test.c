/* SPDX-License-Identifier: MIT */
/* text/quality: the word rule, lines, sentences, keywords, and texts made to be slow. Thresholds are
 * tested in tests/stage/filter_test.lua. */
#include "support/test.h"

#include "base/rng.h"
#include "text/quality.h"

#include <string.h>

static struct quality_work *work;

static struct quality measure(const char *s, unsigned parts) {
  struct quality q;
  struct err err;
  CHECK_INT(quality_measure(work, s, strlen(s), parts, 30, &q, &err), 0);
  return q;
}

static void words_and_signs(void) {
  static const struct {
    const char *s;
    size_t pieces, words, characters;
  } cases[] = {
      {"", 0, 0, 0},
      {" \n\t\u00a0\u3000", 0, 0, 0},
      {"one two", 2, 2, 6},
      {"one,two 3.14 a.b x@y don't l\u2019eau 12:30", 7, 7, 32},
      {"end. (end)", 5, 2, 6},
      {"well-known a/b", 6, 4, 11},
      {"... \u2026 ---- #", 4, 0, 0},
      {"_ __ a_b", 3, 1, 3},
      {"'quoted'", 3, 1, 6},
      {"na\u0308\u00ef", 1, 1, 4},
      {"\u65e5\u672c\u8a9e\u3002", 2, 1, 3},
      {"x^2=y", 5, 3, 3},
      {"a\x1c"
       "b",
       2, 2, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct quality q = measure(cases[i].s, 0);
    if (q.pieces != cases[i].pieces || q.words != cases[i].words ||
        q.word_characters != cases[i].characters)
      test_fail(__FILE__, __LINE__, "%s: %zu pieces, %zu words of %zu characters", cases[i].s,
                q.pieces, q.words, q.word_characters);
  }
}

static void lines_of_all_kinds(void) {
  struct quality q = measure("- a\r\n\u2022 b...\r \u2026\x0b"
                             "c\u2028\n",
                             0);
  CHECK_INT(q.lines, 5); /* the last one, between U+2028 and U+000A, is empty */
  CHECK_INT(q.bullet_lines, 2);
  CHECK_INT(q.ellipsis_lines, 2);
  q = measure("one.\n\n \nOne.\ntwo\none.\nThree?", 0);
  CHECK_INT(q.text_lines, 5);
  CHECK_INT(q.punctuated_lines, 4);
  CHECK_INT(q.repeated_line_characters, 4);
  CHECK_INT(q.newlines, 6);
}

static void sentences(void) {
  static const struct {
    const char *s;
    size_t n;
  } cases[] = {
      {"", 0},
      {"No end", 1},
      {"One. Two! Three? Four", 4},
      {"Mr. Fox and J. R. Hare met Dr. Owl. They ran.", 2},
      {"He said \u201cGo.\u201d (She went.) And?!", 3},
      {"Version 3.14 of e.g. this one", 1},
      {"It costs 5. but no more.", 1},
      {"\u4e00\u3002\u4e8c\uff01\u4e09", 3},
      {"Was I. Me.", 2},
      {"Wait... what", 1},
      {"Wait... What?", 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t n = quality_sentences(cases[i].s, strlen(cases[i].s));
    if (n != cases[i].n) test_fail(__FILE__, __LINE__, "%s: %zu sentences", cases[i].s, n);
  }
}

static void keywords(void) {
  const struct quality_keyword words[] = {{"sea", 3}, {"north wind", 10}, {"\u00e4rger", 6}};
  CHECK_INT(quality_keywords("The SEA, the sea.", 17, words, 3), 1);
  CHECK_INT(quality_keywords("seal, oversea", 13, words, 3), 0);
  const char *s = "North Wind \u00c4RGER_ \u00c4rger!";
  CHECK_INT(quality_keywords(s, strlen(s), words, 3), 2);
  CHECK_INT(quality_keywords("", 0, words, 3), 0);
}

/* The same numbers by the plainest code, on texts of few different words. */
static void repetition_by_hand(void) {
  struct rng r;
  rng_seed(&r, 11);
  for (int round = 0; round < 300; round++) {
    char text[400], words[64][2];
    size_t n = rng_below(&r, 60), at = 0;
    for (size_t i = 0; i < n; i++) {
      words[i][0] = (char)('a' + (int)rng_below(&r, 3));
      text[at++] = words[i][0];
      text[at++] = ' ';
    }
    text[at] = 0;
    struct quality q = measure(text, QUALITY_REPETITION | QUALITY_DIVERSITY);
    for (size_t k = 2; k <= 4; k++) {
      size_t best = 0;
      for (size_t i = 0; i + k <= n; i++) {
        size_t count = 0;
        for (size_t j = 0; j + k <= n; j++) {
          size_t m = 0;
          while (m < k && words[i + m][0] == words[j + m][0]) m++;
          count += m == k;
        }
        if (count > best) best = count;
      }
      CHECK_INT(q.top[k - 2], best * (2 * k - 1));
    }
    for (size_t k = 5; k <= 10; k++) {
      size_t characters = 0, starts[64], count = 0;
      for (size_t i = 0; i + k <= n;) {
        bool seen = false;
        for (size_t j = 0; j < count && !seen; j++) {
          size_t m = 0;
          while (m < k && words[i + m][0] == words[starts[j] + m][0]) m++;
          seen = m == k;
        }
        if (seen)
          characters += k, i += k;
        else
          starts[count++] = i++;
      }
      CHECK_INT(q.duplicate[k - 5], characters);
    }
  }
}

/* Any bytes: nothing crashes, parts add up. */
static void any_bytes(void) {
  struct rng r;
  rng_seed(&r, 12);
  for (int round = 0; round < 2000; round++) {
    char s[200];
    size_t n = rng_below(&r, sizeof s);
    for (size_t i = 0; i < n; i++)
      s[i] = rng_below(&r, 3) ? "a .\n#\r-'\xc3\xa9\xe2\x80\xa6"[rng_below(&r, 13)]
                              : (char)rng_u64(&r);
    struct quality q;
    struct c4_facts facts;
    struct buf out;
    struct err err;
    double values[QUALITY_VALUES];
    const struct c4_options o = {true, true, 3, 1000, NULL, 0};
    CHECK_INT(quality_measure(work, s, n, QUALITY_REPETITION | QUALITY_DIVERSITY, 30, &q, &err), 0);
    quality_values(&q, values);
    for (int k = 0; k < QUALITY_VALUES; k++) CHECK(values[k] >= 0 && values[k] <= 1e9);
    CHECK(q.words <= q.pieces && q.letter_words <= q.words && q.characters <= n);
    CHECK(q.distinct_words <= q.words && q.text_lines <= q.newlines + 1);
    buf_init(&out);
    CHECK_INT(quality_c4(s, n, &o, &out, &facts, &err), 0);
    CHECK(facts.kept + facts.no_terminal + facts.few_words + facts.long_word == facts.lines);
    CHECK(out.len <= n);
    buf_clear(&out);
  }
}

static void slow_texts(void) {
  static const char *const units[] = {"a",  "a ",      "\n", "a\n", ".",   ". ", "[",
                                      "a.", "\u00e9 ", "#",  "!",   "\")", ".)"};
  for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
    struct buf b, out;
    struct quality q;
    struct c4_facts facts;
    struct err err;
    const struct c4_options o = {true, true, 3, 1000, NULL, 0};
    buf_init(&b), buf_init(&out);
    for (int i = 0; i < 100000; i++) buf_adds(&b, units[k]);
    CHECK_INT(quality_measure(work, b.data, b.len, QUALITY_REPETITION, 30, &q, &err), 0);
    CHECK_INT(quality_c4(b.data, b.len, &o, &out, &facts, &err), 0);
    buf_addc(&b, 'a'); /* a run that ends in something else */
    CHECK(quality_sentences(b.data, b.len) <= b.len);
    buf_clear(&b), buf_clear(&out);
  }
}

int main(void) {
  static const char *const stop[] = {"the", "of", "the"};
  struct err err;
  if (quality_work_new(&work, stop, 3, &err)) return 1;
  CHECK_INT(measure("of the The of", 0).stop_words, 2);
  TEST(words_and_signs);
  TEST(lines_of_all_kinds);
  TEST(sentences);
  TEST(keywords);
  TEST(repetition_by_hand);
  TEST(any_bytes);
  TEST(slow_texts);
  quality_work_free(work);
  return test_done();
}
