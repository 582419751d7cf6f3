/* SPDX-License-Identifier: MIT */
/* text/chunk: what holds for every native chunker on generated texts, the index, attacks. LangChain's
 * modes and the borders that each method finds: chunk_test.lua. */
#include "support/test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/chunk.h"
#include "text/chunk_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- generated texts ---- */

static void random_text(struct rng *r, struct buf *b, size_t pieces) {
  static const char *const words[] = {
      "a",    "word",     "Größe",  "界",      "😀",        "e\xcc\x81", ".",       "x-y",
      " ",    " ",        " ",      "\n",      "\n\n",     "\n\n\n",    "\t",      "\u3000",
      "\r\n", "\r\n\r\n", "# H\n",  "\n## I ", "```\n",    "| a |",     "\n===\n", "* ",
      "{",    "}",        "(",      ")",       "\"",       "'",         "/*",      "*/",
      "// ",  "def f:",   "class ", "    ",    "\nend\n",  "。",        "！」",    "Dr. ",
      "3. ",  "? ",       "… ",     ", ",      "👩\u200d💻", "🇩🇪🇫🇷",      "-- ",     "\"\"\"",
      "[[",   "]]",       "#",      "\xcc\x81"};
  buf_reset(b);
  size_t giant = rng_below(r, 6) ? 0 : rng_below(r, 200);
  for (size_t i = 0; i < pieces; i++)
    buf_adds(b, words[rng_below(r, sizeof words / sizeof *words)]);
  for (size_t i = 0; i < giant; i++) buf_adds(b, rng_below(r, 3) ? "w" : "ß");
}

/* Tokens of one to five bytes, which may cut characters. */
static size_t random_tokens(struct rng *r, size_t n, struct chunk_token *tokens) {
  size_t count = 0;
  for (size_t at = 0; at < n; count++) {
    size_t size = 1 + rng_below(r, 5), end = n - at < size ? n : at + size;
    tokens[count] = (struct chunk_token){at, end};
    at = end;
  }
  return count;
}

/* White space only, at character borders. */
static bool only_space(const char *s, size_t from, size_t to) {
  size_t used;
  for (; from < to; from += used)
    if (!chunk_space(utf8_decode(s + from, to - from, &used), CHUNK_NATIVE)) return false;
  return true;
}

static size_t units(const struct chunk_options *o, const char *s, size_t a, size_t b,
                    const struct chunk_token *tokens, size_t count) {
  size_t n = 0;
  if (o->unit == CHUNK_BYTES) return b - a;
  if (o->unit == CHUNK_CHARACTERS) return utf8_count(s + a, b - a);
  for (size_t i = 0; i < count; i++) n += tokens[i].start < b && tokens[i].end > a;
  return n;
}

static size_t characters(const char *s, size_t a, size_t b) {
  return utf8_count(s + a, b - a);
}

/* Spans in order, inside the text, at characters; not longer than the size, but for one character;
 * nothing but white space left out. */
static void check_spans(const struct buf *b, const struct chunk_options *o, const struct chunks *c,
                        const struct chunk_token *tokens, size_t count) {
  const char *s = b->data;
  size_t reached = 0, before = 0;
  bool fine = true;
  for (size_t i = 0; i < c->n; i++) {
    struct chunk k = c->v[i];
    fine = fine && k.text == CHUNK_SPAN && k.start < k.end && k.end <= b->len && k.start >= before;
    fine =
        fine && utf8_floor(s, b->len, k.start) == k.start && utf8_floor(s, b->len, k.end) == k.end;
    bool fits = units(o, s, k.start, k.end, tokens, count) <= o->size;
    bool cut_tokens = o->method == CHUNK_WINDOWS && o->unit == CHUNK_TOKENS;
    fine = fine && (fits || cut_tokens || characters(s, k.start, k.end) == 1);
    if (k.start > reached) fine = fine && only_space(s, reached, k.start);
    if (k.end > reached) reached = k.end;
    before = k.start;
  }
  CHECK(fine);
  CHECK(only_space(s, reached, b->len));
}

static const char *const languages[] = {"c", "python", "lua", "ruby", "go", "html", "perl", NULL};

static void random_options(struct rng *r, struct chunk_options *o) {
  chunk_defaults(o);
  o->method = (enum chunk_method)rng_below(r, 6);
  o->unit = (enum chunk_unit[]){CHUNK_CHARACTERS, CHUNK_BYTES, CHUNK_TOKENS}[rng_below(r, 3)];
  o->size = 1 + rng_below(r, rng_below(r, 2) ? 20 : 200);
  o->overlap = rng_below(r, 2) ? 0 : rng_below(r, o->size);
  o->keep = rng_below(r, 2) ? CHUNK_KEEP_START : CHUNK_KEEP_END;
  o->strip = rng_below(r, 4) != 0;
  o->levels = (int)rng_below(r, 7);
  o->language = languages[rng_below(r, 8)];
}

static void spans_hold_for_every_chunker(void) {
  struct rng r;
  struct buf b;
  struct err err;
  struct chunk_work w = {0};
  struct chunks c = {0};
  const char *rounds = getenv("LATHE_CHUNK_ROUNDS");
  rng_seed(&r, 11);
  buf_init(&b);
  for (long round = 0; round < (rounds ? atol(rounds) : 2000); round++) {
    struct chunk_options o;
    random_options(&r, &o);
    random_text(&r, &b, 1 + rng_below(&r, rng_below(&r, 3) ? 60 : 300));
    struct chunk_token *tokens = mem_array(b.len + 1, sizeof *tokens);
    size_t count = random_tokens(&r, b.len, tokens);
    chunks_reset(&c);
    CHECK_INT(chunk_text(&o, &w, b.data, b.len, tokens, count, &c, &err), 0);
    check_spans(&b, &o, &c, tokens, count);
    mem_free(tokens);
  }
  chunk_work_clear(&w);
  chunks_clear(&c);
  buf_clear(&b);
}

/* Chunks are as large as merging piece by piece makes them: the jump is compared with counting. */
static void index_agrees_with_counting(void) {
  struct rng r;
  struct buf b;
  struct err err;
  struct chunk_work w = {0};
  rng_seed(&r, 12);
  buf_init(&b);
  for (int round = 0; round < 300; round++) {
    struct chunk_index x;
    random_text(&r, &b, 1 + rng_below(&r, 400));
    REQUIRE(chunk_index_make(&x, CHUNK_CHARACTERS, &w, b.data, b.len, NULL, 0, &err) == 0);
    for (int k = 0; k < 20; k++) {
      size_t from = utf8_floor(b.data, b.len, rng_below(&r, b.len + 1)), size = rng_below(&r, 150);
      size_t reach = from, back = from, used;
      for (size_t i = 0; i < size && reach < b.len; i++)
        utf8_decode(b.data + reach, b.len - reach, &used), reach += used;
      for (size_t i = 0; i < size && back > 0; i++) back = utf8_floor(b.data, b.len, back - 1);
      CHECK_INT(chunk_index_reach(&x, from, size), reach);
      CHECK_INT(chunk_index_back(&x, from, size), back);
      CHECK_INT(chunk_index_length(&x, back, reach), utf8_count(b.data + back, reach - back));
    }
  }
  chunk_work_clear(&w);
  buf_clear(&b);
}

static void token_windows_are_exact(void) {
  struct rng r;
  struct buf b;
  struct err err;
  struct chunk_work w = {0};
  struct chunks c = {0};
  struct chunk_options o;
  rng_seed(&r, 13);
  buf_init(&b);
  chunk_defaults(&o);
  o.method = CHUNK_WINDOWS, o.unit = CHUNK_TOKENS, o.size = 7, o.overlap = 2;
  for (int round = 0; round < 100; round++) {
    struct chunk_token tokens[4000];
    random_text(&r, &b, 1 + rng_below(&r, 200));
    size_t count = random_tokens(&r, b.len, tokens);
    chunks_reset(&c);
    CHECK_INT(chunk_text(&o, &w, b.data, b.len, tokens, count, &c, &err), 0);
    for (size_t i = 0, k = 0; k < count && i < c.n; k += 5) {
      size_t last = k + 7 < count ? k + 7 : count;
      size_t start = utf8_floor(b.data, b.len, tokens[k].start),
             end = utf8_floor(b.data, b.len, tokens[last - 1].end);
      if (start < end) CHECK(c.v[i].start == start && c.v[i].end == end), i++;
      if (last == count) break;
    }
  }
  chunk_work_clear(&w);
  chunks_clear(&c);
  buf_clear(&b);
}

/* A letter and its accents, an emoji of several characters, CRLF stay whole where the size allows. */
static void clusters_stay_whole(void) {
  static const char *const texts[] = {"e\xcc\x81\xcc\x82", "👩\u200d💻", "🇩🇪", "\r\n", "नि", "각"};
  struct chunk_work w = {0};
  struct err err;
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    struct buf b;
    struct chunks c = {0};
    struct chunk_options o;
    buf_init(&b);
    for (int i = 0; i < 50; i++) buf_addf(&b, "%.*s%s", i % 3, "xyz", texts[t]);
    chunk_defaults(&o);
    o.size = 5, o.overlap = 2, o.strip = false;
    CHECK_INT(chunk_text(&o, &w, b.data, b.len, NULL, 0, &c, &err), 0);
    CHECK(c.n > 10);
    for (size_t i = 0; i < c.n; i++) {
      CHECK(!chunk_cluster_inside(b.data, b.len, c.v[i].start));
      CHECK(!chunk_cluster_inside(b.data, b.len, c.v[i].end));
    }
    chunks_clear(&c);
    buf_clear(&b);
  }
  chunk_work_clear(&w);
}

static void misuse(void) {
  struct chunk_options o;
  struct chunks c = {0};
  struct chunk_work w = {0};
  struct err err;
  struct chunk_token bad[] = {{0, 9}}, back[] = {{2, 3}, {1, 2}};
  chunk_defaults(&o);
  o.size = 0;
  CHECK_INT(chunk_text(&o, &w, "a", 1, NULL, 0, &c, &err), ERR_MISUSE);
  o.size = 5, o.overlap = 5;
  CHECK_INT(chunk_text(&o, &w, "a", 1, NULL, 0, &c, &err), ERR_MISUSE);
  o.mode = CHUNK_PYTHON;
  CHECK_INT(chunk_text(&o, &w, "a", 1, NULL, 0, &c, &err), 0);
  o.method = CHUNK_SENTENCE;
  CHECK_INT(chunk_text(&o, &w, "a", 1, NULL, 0, &c, &err), ERR_MISUSE);
  chunk_defaults(&o);
  o.unit = CHUNK_TOKENS;
  CHECK_INT(chunk_text(&o, &w, "abc", 3, bad, 1, &c, &err), ERR_MISUSE);
  CHECK_INT(chunk_text(&o, &w, "abc", 3, back, 2, &c, &err), ERR_MISUSE);
  chunks_clear(&c);
  chunk_work_clear(&w);
}

/* ---- attacks ---- */

static const char *const units_of_attack[] = {
    "x",  " ", "\n",  "\t",     "\xcc\x81", "🇩",      "\r\n", ".",   ". ",   "(",   "\"",
    "# ", "`", "|\n", "a\n=\n", "\n\n",     "\"\"\"", "/*",   "{\n", "@x\n", "Dr. "};

static void one_thing_many_times(void) {
  struct chunk_work w = {0};
  struct err err;
  for (size_t t = 0; t < sizeof units_of_attack / sizeof *units_of_attack; t++)
    for (int method = 0; method < 6; method++) {
      struct buf b;
      struct chunks c = {0};
      struct chunk_options o;
      buf_init(&b);
      while (b.len < 6000) buf_adds(&b, units_of_attack[t]);
      chunk_defaults(&o);
      o.method = (enum chunk_method)method;
      o.language = "c";
      o.size = 100, o.overlap = 99; /* the worst overlap */
      CHECK_INT(chunk_text(&o, &w, b.data, b.len, NULL, 0, &c, &err), 0);
      check_spans(&b, &o, &c, NULL, 0);
      chunks_clear(&c);
      buf_clear(&b);
    }
  chunk_work_clear(&w);
}

static void bytes_that_are_not_utf8(void) {
  struct rng r;
  struct err err;
  struct chunk_work w = {0};
  char s[3000];
  rng_seed(&r, 14);
  for (int round = 0; round < 300; round++) {
    struct chunk_options o;
    struct chunks c = {0};
    random_options(&r, &o);
    if (o.unit == CHUNK_TOKENS) o.unit = CHUNK_BYTES;
    for (size_t i = 0; i < sizeof s; i++)
      s[i] = (char)(round % 2 ? rng_u64(&r) : 0x80 | (rng_u64(&r) & 0x3f));
    CHECK_INT(chunk_text(&o, &w, s, sizeof s, NULL, 0, &c, &err), 0);
    for (size_t i = 0; i < c.n; i++) CHECK(c.v[i].start < c.v[i].end && c.v[i].end <= sizeof s);
    chunks_clear(&c);
  }
  chunk_work_clear(&w);
}

int main(void) {
  TEST(spans_hold_for_every_chunker);
  TEST(index_agrees_with_counting);
  TEST(token_windows_are_exact);
  TEST(clusters_stay_whole);
  TEST(misuse);
  TEST(one_thing_many_times);
  TEST(bytes_that_are_not_utf8);
  return test_done();
}
