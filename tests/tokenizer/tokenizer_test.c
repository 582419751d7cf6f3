/* SPDX-License-Identifier: MIT */
/* tokenizer/ where Lua cannot look: hostile files, broken UTF-8, threads, words without end.
 *
 * The little vocabulary below is written out by hand: 256 bytes, "ab", "abc", "Ġa" and added
 * tokens.
 */
#include "support/test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* A tokenizer.json with all bytes (ids 0–255 in byte order, by way of training nothing), `more`
 * after the vocabulary's last entry, `merges`, and `added`. */
static void little_json(struct buf *out, const char *more, const char *merges, const char *added) {
  struct tokenizer_train_options o = {.vocab_size = 256};
  struct tokenizer_train *tr;
  struct tokenizer *t;
  buf_init(out);
  if (tokenizer_train_new(&tr, &o, NULL)) return;
  if (!tokenizer_train_finish(tr, &t, NULL, NULL)) {
    buf_addf(out,
             "{\"added_tokens\":[%s],\"pre_tokenizer\":{\"type\":\"ByteLevel\","
             "\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
             "\"BPE\",\"vocab\":{",
             added);
    for (uint32_t id = 0; id < 256; id++) {
      size_t n;
      const char *s = tokenizer_token(t, id, &n);
      buf_addf(out, "%s\"%s%.*s\":%u", id ? "," : "", *s == '"' || *s == '\\' ? "\\" : "", (int)n,
               s, id);
    }
    buf_addf(out, "%s},\"merges\":[%s]}}", more, merges);
    tokenizer_free(t);
  }
  tokenizer_train_free(tr);
}

static int load_little(struct tokenizer **t, const char *more, const char *merges,
                       const char *added, struct err *err) {
  struct buf json;
  little_json(&json, more, merges, added);
  int rc = tokenizer_load(t, json.data, json.len, err);
  buf_clear(&json);
  return rc;
}

#define MORE   ",\"ab\":256,\"abc\":257,\"Ġa\":258"
#define MERGES "\"a b\",[\"ab\",\"c\"],\"Ġ a\""

static void refuses(const char *more, const char *merges, const char *added, int code,
                    const char *part) {
  struct tokenizer *t;
  struct err err = {0};
  int rc = load_little(&t, more, merges, added, &err);
  CHECK_INT(rc, code);
  if (!strstr(err.message, part)) CHECK_STR(err.message, part);
  CHECK(t == NULL);
  tokenizer_free(t);
}

static void hostile_files_are_refused_by_name(void) {
  refuses(",\"ab\":255", "", "", ERR_FORMAT, "id 255 has two tokens");
  refuses(",\"ab\":4294967295", "", "", ERR_LIMIT, "is above 4194303");
  refuses(",\"ab\":-1", "", "", ERR_FORMAT, "not negative");
  refuses(",\"ab\":1.5", "", "", ERR_FORMAT, "whole number");
  refuses(",\"ab\":99999999999999999999", "", "", ERR_FORMAT, "whole number");
  refuses("", "\"a b\"", "", ERR_FORMAT, "\"ab\" is not in the vocabulary");
  refuses(MORE, "\"a nothing\"", "", ERR_FORMAT, "\"nothing\" is not in the vocabulary");
  refuses(MORE, "\"a b c\"", "", ERR_FORMAT, "one space");
  refuses(MORE, "\"ab\"", "", ERR_FORMAT, "one space");
  refuses(MORE, "[\"a\"]", "", ERR_FORMAT, "array of two");
  refuses(MORE, "7", "", ERR_FORMAT, "a merge is a string or an array");
  refuses(MORE, "", "{\"id\":256,\"content\":\"<x>\"}", ERR_FORMAT, "id 256 has two tokens");
  refuses(MORE, "", "{\"id\":300,\"content\":\"ab\"}", ERR_FORMAT, "has two ids, 256 and 300");
  refuses(MORE, "", "{\"content\":\"ab\"}", ERR_FORMAT, "needs \"id\"");
  refuses(MORE, "", "7", ERR_FORMAT, "needs \"id\"");
}

static void other_kinds_are_refused_by_name(void) {
  static const struct {
    const char *json, *part;
  } cases[] = {
      {"", "byte 0"},
      {"[]", "an object"},
      {"{}", "no \"model\""},
      {"{\"model\":{\"type\":\"Unigram\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
       "model Unigram is not supported yet"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"normalizer\":{\"type\":\"Nonsense\"}}",
       "Nonsense"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Nonsense\"}}",
       "Nonsense"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"decoder\":{\"type\":\"Nonsense\"}}",
       "Nonsense"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"post_processor\":{\"type\":\"Nonsense\"}}",
       "Nonsense"},
      {"{\"model\":{\"type\":\"BPE\",\"dropout\":0.1},\"pre_tokenizer\":{\"type\":"
       "\"ByteLevel\"}}",
       "BPE with dropout"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
       "model.vocab"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
       "model.merges"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tokenizer *t;
    struct err err = {0};
    CHECK(tokenizer_load(&t, cases[i].json, strlen(cases[i].json), &err) != 0);
    CHECK(t == NULL);
    if (!strstr(err.message, cases[i].part)) CHECK_STR(err.message, cases[i].part);
  }
}

static void every_cut_of_a_file_is_refused(void) {
  struct buf json;
  little_json(&json, MORE, MERGES, "{\"id\":300,\"content\":\"<x>\"}");
  for (size_t n = 0; n < json.len; n += 7) {
    struct tokenizer *t;
    char *copy = mem_dup(json.data, n);
    CHECK(tokenizer_load(&t, copy, n, NULL) != 0);
    mem_free(copy);
  }
  buf_clear(&json);
}

static void check_ids(const struct tokenizer *t, const char *text, int flags, const uint32_t *want,
                      size_t n) {
  struct tokens ts = {0};
  CHECK_INT(tokenizer_encode(t, NULL, text, strlen(text), flags | TOKENIZER_SPANS, &ts, NULL), 0);
  CHECK_MEM(ts.ids, ts.count * sizeof *want, want, n * sizeof *want);
  tokens_clear(&ts);
}

static void check_cut(const struct tokenizer *t, const char *text, int flags, size_t max,
                      const char *tokens, uint64_t at) {
  struct tokens ts = {0};
  struct buf got;
  uint64_t cut;
  buf_init(&got);
  CHECK_INT(tokenizer_truncate(t, NULL, text, strlen(text), flags, max, &ts, &cut, NULL), 0);
  for (size_t i = 0; i < ts.count; i++) {
    size_t n;
    const char *s = tokenizer_bytes(t, ts.ids[i], &n);
    buf_addf(&got, "%s%.*s", i ? "|" : "", (int)n, s);
  }
  CHECK_STR(got.data ? got.data : "", tokens);
  CHECK_INT(cut, at);
  buf_clear(&got);
  tokens_clear(&ts);
}

static void cuts_part_no_character_and_no_token(void) {
  struct tokenizer *t;
  struct err err = {0};
  REQUIRE(
      !load_little(&t, MORE, MERGES, "{\"id\":300,\"content\":\"<x>\",\"special\":true}", &err));
  check_cut(t, "naïve", 0, 99, "n|a|\xC3|\xAF|v|e", 6);
  check_cut(t, "naïve", 0, 3, "n|a", 2);
  check_cut(t, "naïve", 0, 4, "n|a|\xC3|\xAF", 4);
  check_cut(t, "naïve", 0, 0, "", 0);
  check_cut(t, "€", 0, 2, "", 0);
  check_cut(t, "naïve", TOKENIZER_LEFT, 99, "n|a|\xC3|\xAF|v|e", 0);
  check_cut(t, "naïve", TOKENIZER_LEFT, 3, "v|e", 4);
  check_cut(t, "naïve", TOKENIZER_LEFT, 4, "\xC3|\xAF|v|e", 2);
  check_cut(t, "naïve", TOKENIZER_LEFT, 0, "", 6);
  check_cut(t, "abc<x> ab", 0, 2, "abc|<x>", 6);
  check_cut(t, "abc<x> ab", TOKENIZER_LEFT, 2, " |ab", 6);
  check_cut(t, "", 0, 0, "", 0);
  tokenizer_free(t);
}

static void added_tokens_and_their_flags(void) {
  struct tokenizer *t;
  struct err err = {0};
  REQUIRE(!load_little(&t, MORE, MERGES,
                       "{\"id\":300,\"content\":\"<x>\",\"special\":true,\"normalized\":false},"
                       "{\"id\":301,\"content\":\"<x><y>\",\"lstrip\":true,\"rstrip\":true},"
                       "{\"id\":302,\"content\":\"word\",\"single_word\":true},"
                       "{\"id\":303,\"content\":\"\"}",
                       &err));
  uint32_t a = tokenizer_id(t, "a", 1), space = tokenizer_id(t, "Ġ", 2),
           w = tokenizer_id(t, "w", 1);
  CHECK_INT(tokenizer_size(t), 304);
  CHECK_INT(tokenizer_entries(t), 263);
  CHECK(tokenizer_is_special(t, 300) && !tokenizer_is_special(t, 301));
  check_ids(t, "abc a<x>", 0, (const uint32_t[]){257, 258, 300}, 3);
  check_ids(t, "a word a", 0, (const uint32_t[]){a, space, 302, 258}, 4);
  check_ids(t, "<x><x><x>", 0, (const uint32_t[]){300, 300, 300}, 3);
  struct tokens ts = {0};
  CHECK_INT(tokenizer_encode(t, NULL, "words", 5, 0, &ts, NULL), 0);
  CHECK_INT(ts.ids[0], w);
  tokens_reset(&ts);
  CHECK_INT(tokenizer_encode(t, NULL, "<x>", 3, TOKENIZER_PLAIN, &ts, NULL), 0);
  CHECK_INT(ts.count, 3);
  tokens_clear(&ts);
  tokenizer_free(t);
}

static void missing_bytes_are_dropped_or_unknown(void) {
  static const char json[] =
      "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":{\"vocab\":"
      "{\"a\":0,\"b\":1,\"ab\":2,\"?\":9},\"merges\":[\"a b\"]%s}}";
  static const struct {
    const char *more;
    uint32_t want[8];
    size_t n;
  } cases[] = {{"", {2, 2, 0}, 3},
               {",\"unk_token\":\"?\"", {2, 9, 9, 2, 9, 0}, 6},
               {",\"unk_token\":\"?\",\"fuse_unk\":true", {2, 9, 2, 9, 0}, 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct tokenizer *t;
    struct buf b;
    buf_init(&b);
    for (const char *s = json; *s; s++) {
      if (s[0] == '%') {
        buf_adds(&b, cases[i].more);
        s++;
      } else {
        buf_addc(&b, *s);
      }
    }
    REQUIRE(!tokenizer_load(&t, b.data, b.len, NULL));
    check_ids(t, "abxyabza", 0, cases[i].want, cases[i].n);
    if (!i) check_ids(t, "xy", 0, cases[i].want, 0);
    tokenizer_free(t);
    buf_clear(&b);
  }
}

/* ---- any bytes ---- */

static void random_bytes(struct rng *r, char *s, size_t n) {
  static const char *const parts[] = {"ab",  "abc", " a", "\xe4\xbd", "\xa0", "\xf0\x9f\x91\x8d",
                                      "<x>", "  ",  "\n", "'ll",      "9",    "\xff"};
  for (size_t i = 0; i < n;) {
    const char *p = parts[rng_below(r, sizeof parts / sizeof *parts)];
    for (; *p && i < n; p++) s[i++] = *p;
  }
}

static void any_bytes_survive_and_spans_cover_them(void) {
  struct tokenizer *t;
  struct tokenizer_work *work;
  struct rng r;
  char text[200];
  rng_seed(&r, 7);
  REQUIRE(
      !load_little(&t, MORE, MERGES, "{\"id\":300,\"content\":\"<x>\",\"special\":true}", NULL));
  REQUIRE(!tokenizer_work_new(&work, t, NULL));
  struct tokens cold = {0}, warm = {0};
  struct buf out, lossy;
  buf_init(&out), buf_init(&lossy);
  for (int round = 0; round < 2000; round++) {
    size_t n = (size_t)rng_below(&r, sizeof text), count, at = 0;
    random_bytes(&r, text, n);
    char *exact = mem_dup(text, n); /* so that ASan sees a read past the end */
    tokens_reset(&cold), tokens_reset(&warm), buf_reset(&out), buf_reset(&lossy);
    REQUIRE(!tokenizer_encode(t, NULL, exact, n, 0, &cold, NULL));
    REQUIRE(!tokenizer_encode(t, work, exact, n, TOKENIZER_SPANS, &warm, NULL));
    REQUIRE(!tokenizer_count(t, work, exact, n, 0, &count, NULL));
    CHECK_MEM(warm.ids, warm.count * 4, cold.ids, cold.count * 4);
    CHECK_INT(count, cold.count);
    for (size_t i = 0; i < warm.count; i++) {
      CHECK_INT(warm.spans[i].start, at);
      at = warm.spans[i].end;
    }
    CHECK_INT(at, n);
    REQUIRE(!tokenizer_decode_bytes(t, cold.ids, cold.count, 0, &out, NULL));
    CHECK_MEM(out.data ? out.data : "", out.len, text, n);
    buf_reset(&out);
    struct tokenizer_stream s = {0};
    for (size_t i = 0; i < cold.count; i++) {
      size_t before = out.len;
      CHECK_INT(tokenizer_stream_add(t, &s, cold.ids[i], 0, &out, NULL), 0);
      if (out.len > before)
        CHECK_INT(utf8_check(out.data + before, out.len - before), out.len - before);
    }
    CHECK_INT(tokenizer_stream_end(&s, &out, NULL), 0);
    tokenizer_stream_clear(&s);
    utf8_lossy(text, n, &lossy);
    CHECK_MEM(out.data ? out.data : "", out.len, lossy.data ? lossy.data : "", lossy.len);
    mem_free(exact);
  }
  buf_clear(&out), buf_clear(&lossy);
  tokens_clear(&cold), tokens_clear(&warm);
  tokenizer_work_free(work);
  tokenizer_free(t);
}

static void a_long_word_equals_its_short_merges(void) {
  struct tokenizer *t;
  size_t n = 300000, count;
  char *s = mem_alloc(n);
  REQUIRE(s && !load_little(&t, MORE, MERGES, "", NULL));
  for (size_t i = 0; i < n; i++) s[i] = "abc"[i % 3];
  CHECK_INT(tokenizer_count(t, NULL, s, n, 0, &count, NULL), 0);
  CHECK_INT(count, n / 3);
  memset(s, 'a', n);
  CHECK_INT(tokenizer_count(t, NULL, s, n, 0, &count, NULL), 0);
  CHECK_INT(count, n);
  mem_free(s);
  tokenizer_free(t);
}

/* ---- threads ---- */

struct shared {
  const struct tokenizer *t;
  size_t counts[32];
};

static void count_task(void *arg, size_t i) {
  struct shared *s = arg;
  char text[3000];
  struct rng r;
  rng_seed(&r, i % 8);
  random_bytes(&r, text, sizeof text);
  if (tokenizer_count(s->t, NULL, text, sizeof text, 0, &s->counts[i], NULL)) s->counts[i] = 0;
}

static void one_tokenizer_serves_many_threads(void) {
  struct tokenizer *t;
  struct pool *pool;
  REQUIRE(!load_little(&t, MORE, MERGES, "{\"id\":300,\"content\":\"<x>\"}", NULL));
  REQUIRE(!pool_new(&pool, 4, NULL));
  struct shared s = {.t = t};
  CHECK_INT(pool_run(pool, 32, count_task, &s), 0);
  for (size_t i = 0; i < 32; i++) CHECK(s.counts[i] && s.counts[i] == s.counts[i % 8]);
  pool_free(pool);
  tokenizer_free(t);
}

static void a_work_belongs_to_one_tokenizer(void) {
  struct tokenizer *a, *b;
  struct tokenizer_work *work;
  struct err err;
  size_t n;
  REQUIRE(!load_little(&a, MORE, MERGES, "", NULL) && !load_little(&b, MORE, MERGES, "", NULL));
  REQUIRE(!tokenizer_work_new(&work, a, &err));
  CHECK_INT(tokenizer_count(b, work, "a", 1, 0, &n, &err), ERR_MISUSE);
  tokenizer_work_free(work);
  tokenizer_free(a);
  tokenizer_free(b);
}

static void both_tables_of_classes_agree(void) {
  char s[4];
  size_t used;
  for (uint32_t c = 0; c < 0x110000; c++) {
    if (c >= 0xD800 && c < 0xE000) continue;
    size_t n = utf8_encode(c, s);
    if (class_at(s, n, &used) == class_of(c) && used == n) continue;
    test_fail(__FILE__, __LINE__, "U+%04X", c);
    return;
  }
}

int main(void) {
  TEST(both_tables_of_classes_agree);
  TEST(hostile_files_are_refused_by_name);
  TEST(other_kinds_are_refused_by_name);
  TEST(every_cut_of_a_file_is_refused);
  TEST(cuts_part_no_character_and_no_token);
  TEST(added_tokens_and_their_flags);
  TEST(missing_bytes_are_dropped_or_unknown);
  TEST(any_bytes_survive_and_spans_cover_them);
  TEST(a_long_word_equals_its_short_merges);
  TEST(one_tokenizer_serves_many_threads);
  TEST(a_work_belongs_to_one_tokenizer);
  return test_done();
}
