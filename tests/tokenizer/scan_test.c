/* SPDX-License-Identifier: MIT */
/* The hand-written scanners: with each set of instructions the same words as byte by byte, and the
 * words that the patterns' authors would expect. */
#include "support/test.h"

#include "base/rng.h"
#include "tokenizer/scan.h"

#include <stdio.h>
#include <string.h>

#define KINDS (SCAN_EACH_SPACE + 1)

static void words_are(enum scan_kind kind, const char *text, const char *want) {
  char got[512];
  size_t n = strlen(text), at = 0, len = 0;
  uint32_t ends[256];
  size_t count = scan_words(kind, text, n, &at, ends, 256), start = 0;
  for (size_t i = 0; i < count; start = ends[i++])
    len += (size_t)snprintf(got + len, sizeof got - len, "%s%.*s", i ? "|" : "",
                            (int)(ends[i] - start), text + start);
  CHECK_STR(got, want);
}

static void gpt2(void) {
  words_are(SCAN_GPT2, "Hello  world's 12345 it'll 'so'S !?x",
            "Hello| | world|'s| 12345| it|'ll| '|so|'|S| !?|x");
  words_are(SCAN_GPT2, "a \n\n b\t\tc  ", "a| \n\n| b|\t|\t|c|  ");
  words_are(SCAN_GPT2, "na\u00EFve caf\u00E9\u3000x", "na\u00EFve| caf\u00E9|\u3000|x");
  words_are(SCAN_GPT2_DIGITS, "x 12  3\n 4'l5", "x| |1|2|  |3|\n |4|'|l|5");
}

static void cl100k(void) {
  words_are(SCAN_CL100K, "I'VE  done 1234567 (things) \"ok\".\n\n  x\n \n y",
            "I|'VE| | done| |123|456|7| (|things|)| \"|ok|\".\n\n| | x|\n \n| y");
  words_are(SCAN_CL100K, "a'\u017F b\t\tc \r\n.x", "a|'\u017F| b|\t|\tc| \r\n|.x");
  words_are(SCAN_CL100K, "a \n \n  ", "a| \n \n|  ");
  words_are(SCAN_CL100K_TAIL, "a \n \n  ", "a| \n \n  ");
  words_are(SCAN_QWEN2, "in 2026:\n\t42", "in| |2|0|2|6|:\n|\t|4|2");
}

static void o200k(void) {
  words_are(SCAN_O200K, "fooBar's's FOOBar .\n/\n/x a'\u017Fx",
            "foo|Bar's|'s| FOOBar| .\n/\n/|x| a'\u017F|x");
  words_are(SCAN_O200K, "a\u0301b\u0301 .\u0301a.\u0301 FOO\u00AAbarA\u02B0B",
            "a\u0301b\u0301| .\u0301|a|.\u0301| FOO\u00AAbar|A\u02B0|B");
  words_are(SCAN_TEKKEN, "HTTPServer don't 42", "HTTPServer| don|'t| |4|2");
}

static void spaces(void) {
  words_are(SCAN_SPACES, "a  b\u2581c \u2581d\n e", "a|  b|\u2581c| \u2581d\n| e");
  words_are(SCAN_SPACES_LINES, "a  b\r\n\n c\nd", "a|  b|\r\n\n| c|\n|d");
  words_are(SCAN_EACH_SPACE, "a  b\u2581", "a| | b|\u2581");
}

static void recognised(const char *pattern, bool tiktoken, int want) {
  enum scan_kind kind;
  bool found = scan_recognise(pattern, strlen(pattern), tiktoken, &kind);
  CHECK_INT(found ? (int)kind : -1, want);
}

static void patterns_are_recognised(void) {
  const char *tail = "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+|"
                     " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";
  recognised("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}"
             "\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
             false, SCAN_CL100K);
  recognised("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}"
             "\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
             false, SCAN_QWEN2);
  recognised(tail, true, SCAN_CL100K_TAIL);
  recognised(tail, false, -1);
  recognised("\\s+", false, -1);
}

/* Pieces that meet where the rules look. */
static const char *const bits[] = {
    "a",      "b",      "Z",      "Qx",     "s",      "'s",         "'ll",  "'RE",    "'",
    "1",      "23",     " ",      " ",      "  ",     "\n",         "\r\n", "\t",     "/",
    ".",      "--",     "\u00E9", "\u017F", "_",      "!",          "\v",   "\u3000", "\u0301",
    "\u01C5", "\u02B0", "\xE4",   "\xFF",   "\u4E2D", "\U0001F600", "\x85", "\u00A0", "\u0662",
    "the",    "    ",   "\n\n",   "ve",     "\u2581", "\u201C"};

static size_t random_text(struct rng *r, char *out, size_t cap) {
  size_t n = 0, plain = rng_below(r, 4) ? 20 : 40, want = rng_below(r, cap - 8);
  size_t count = sizeof bits / sizeof *bits;
  while (n < want) {
    const char *s = bits[rng_below(r, plain < count ? plain : count)];
    size_t len = strlen(s);
    memcpy(out + n, s, len);
    n += len;
  }
  return n;
}

static bool same_words(enum scan_masks how, enum scan_kind kind, const char *s, size_t n) {
  uint32_t ends[96];
  for (size_t at = 0, plain = 0; at < n;) {
    size_t count = scan_words_with(how, kind, s, n, &at, ends, 96);
    for (size_t i = 0; i < count; i++)
      if ((plain = scan_one(kind, s, n, plain)) != ends[i]) return false;
    if (plain != at || !count) return false;
  }
  return true;
}

static void masks_find_the_same_words(void) {
  struct rng r;
  char text[400];
  rng_seed(&r, 3);
  for (int round = 0; round < 8000; round++) {
    size_t n = random_text(&r, text, sizeof text);
    for (int kind = SCAN_GPT2; kind < KINDS; kind++)
      for (int how = SCAN_PLAIN; how <= (int)scan_masks_best(); how++)
        if (!same_words((enum scan_masks)how, (enum scan_kind)kind, text, n)) {
          test_fail(__FILE__, __LINE__, "kind %d, masks %d: %.*s", kind, how, (int)n, text);
          return;
        }
  }
}

static bool same_as_pattern(const struct pattern *p, enum scan_kind kind, const char *s, size_t n) {
  struct matches m = {0};
  size_t at = 0, from = 0, to = 0;
  bool found = true, same = !matches_begin(&m, p, s, n, NULL);
  while (same && at < n) {
    same = !matches_next(&m, &found, &from, &to, NULL) && found && from == at;
    same = same && to == (at = scan_one(kind, s, n, at));
  }
  matches_clear(&m);
  return same;
}

/* The general way is the reference here; `(?i:…)`, classes and malformed bytes included. The kind with
 * a tail is not among them: tiktoken reads its pattern otherwise. */
static void scanners_equal_their_patterns(void) {
  char text[400];
  for (int kind = SCAN_GPT2; kind < KINDS; kind++) {
    const char *regex = scan_pattern((enum scan_kind)kind);
    struct pattern *p;
    struct rng r;
    struct err err = {0};
    if (!regex || kind == SCAN_CL100K_TAIL) continue;
    REQUIRE(!pattern_new(&p, regex, strlen(regex), &err));
    rng_seed(&r, (uint64_t)kind);
    for (int round = 0; round < 3000; round++) {
      size_t n = random_text(&r, text, sizeof text);
      if (same_as_pattern(p, (enum scan_kind)kind, text, n)) continue;
      test_fail(__FILE__, __LINE__, "kind %d: %.*s", kind, (int)n, text);
      break;
    }
    pattern_free(p);
  }
}

int main(void) {
  TEST(gpt2);
  TEST(cl100k);
  TEST(o200k);
  TEST(spaces);
  TEST(patterns_are_recognised);
  TEST(masks_find_the_same_words);
  TEST(scanners_equal_their_patterns);
  return test_done();
}
