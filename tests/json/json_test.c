/* SPDX-License-Identifier: MIT */
/* json/: the text cases of accept.cases and reject.cases, and what lines of text cannot say. */
#include "support/test.h"

#include "base/buf.h"
#include "file/file.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* <XX> → the byte. */
static void unquote(const char *s, size_t n, struct buf *out) {
  buf_reset(out);
  for (size_t i = 0; i < n; i++) {
    unsigned byte;
    if (s[i] == '<' && i + 3 < n && s[i + 3] == '>' && sscanf(s + i + 1, "%2x", &byte) == 1) {
      buf_addc(out, (char)byte);
      i += 3;
    } else {
      buf_addc(out, s[i]);
    }
  }
}

/* Each line that is not a comment, in a heap block of its exact size so that ASan sees overreads.
 */
static void each_case(const char *path, void (*check)(const char *line, size_t n)) {
  struct lines *r;
  struct line line;
  struct err err;
  if (lines_open(&r, path, 1 << 20, &err)) {
    test_fail(__FILE__, __LINE__, "%s", err.message);
    return;
  }
  while (lines_next(r, &line, &err) == 1)
    if (line.len && line.text[0] != '#') check(line.text, line.len);
  lines_close(r);
}

static int parse_exact(struct json **j, const char *s, size_t n, char **copy, struct err *err) {
  *copy = malloc(n ? n : 1);
  if (n) memcpy(*copy, s, n);
  return json_parse(j, *copy, n, NULL, err);
}

static void check_accept(const char *line, size_t n) {
  const char *arrow = memmem(line, n, " => ", 4);
  struct buf text, want, got;
  struct json *j;
  struct err err;
  char *copy;
  buf_init(&text), buf_init(&want), buf_init(&got);
  unquote(line, arrow ? (size_t)(arrow - line) : n, &text);
  if (arrow)
    unquote(arrow + 4, n - 4 - (size_t)(arrow - line), &want);
  else
    unquote(line, n, &want);
  if (parse_exact(&j, text.data, text.len, &copy, &err)) {
    test_fail(__FILE__, __LINE__, "%.*s: %s", (int)n, line, err.message);
  } else {
    json_put_value(&got, j, JSON_ROOT, 0);
    CHECK_MEM(got.data, got.len, want.data, want.len);
    json_free(j);
  }
  free(copy);
  buf_clear(&text), buf_clear(&want), buf_clear(&got);
}

static void check_reject(const char *line, size_t n) {
  const char *bar = memmem(line, n, " |", 2);
  struct buf text;
  struct json *j;
  struct err err = {0};
  char message[200], *copy;
  buf_init(&text);
  if (!bar) {
    test_fail(__FILE__, __LINE__, "no bar: %.*s", (int)n, line);
    return;
  }
  snprintf(message, sizeof message, "%.*s", (int)(bar - line), line);
  size_t skip = (size_t)(bar - line) + 3;
  unquote(line + skip, skip < n ? n - skip : 0, &text);
  if (!parse_exact(&j, text.data, text.len, &copy, &err)) {
    test_fail(__FILE__, __LINE__, "accepted: %.*s", (int)n, line);
    json_free(j);
  } else {
    CHECK_STR(err.message, message);
  }
  free(copy);
  buf_clear(&text);
}

static void accepted_texts(void) {
  each_case("tests/json/accept.cases", check_accept);
}
static void refused_texts(void) {
  each_case("tests/json/reject.cases", check_reject);
}

static void depth_is_bounded(void) {
  static char text[4000];
  struct json *j;
  struct err err;
  memset(text, '[', 2000);
  memset(text + 2000, ']', 2000);
  CHECK_INT(json_parse(&j, text + 1488, 1024, NULL, &err), 0);
  json_free(j);
  CHECK_INT(json_parse(&j, text + 1487, 1026, NULL, &err), ERR_LIMIT);
  CHECK_STR(err.message, "byte 512: nested deeper than 512");
  CHECK(!j);
  struct json_limits deep = {.max_depth = 1 << 20}, small = {.max_bytes = 3};
  CHECK_INT(json_parse(&j, text, sizeof text, &deep, &err), ERR_LIMIT);
  CHECK_INT(json_parse(&j, "[1]", 3, &small, &err), 0);
  json_free(j);
  CHECK_INT(json_parse(&j, "[12]", 4, &small, &err), ERR_LIMIT);
  memset(text, '1', 1001);
  CHECK_INT(json_parse(&j, text, 1000, NULL, &err), 0);
  json_free(j);
  CHECK_INT(json_parse(&j, text, 1001, NULL, &err), ERR_LIMIT);
}

static void values_are_found(void) {
  const char *text =
      "{\"a\": 1, \"b\\n\": [10, -20, \"x\\u00e9\"], \"c\": {\"d\": 2.5}, \"t\": true}";
  struct json *j;
  struct err err;
  struct buf scratch;
  int64_t i;
  double d;
  bool b;
  size_t n;
  buf_init(&scratch);
  REQUIRE(json_parse(&j, text, strlen(text), NULL, &err) == 0);
  CHECK_INT(json_count(j, JSON_ROOT), 4);
  CHECK(json_int(j, json_get(j, JSON_ROOT, "a"), &i) && i == 1);
  json_id list = json_get(j, JSON_ROOT, "b\n");
  CHECK_INT(json_count(j, list), 3);
  CHECK(json_int(j, json_at(j, list, 1), &i) && i == -20);
  CHECK_INT(json_at(j, list, 3), JSON_NONE);
  CHECK(json_is(j, json_at(j, list, 2), "x\xC3\xA9"));
  CHECK(!json_is(j, json_at(j, list, 2), "x"));
  const char *s = json_string(j, json_at(j, list, 2), &scratch, &n);
  CHECK_MEM(s, n, "x\xC3\xA9", 3);
  json_id c = json_get(j, JSON_ROOT, "c");
  CHECK(json_double(j, json_get(j, c, "d"), &d) && d == 2.5);
  CHECK(!json_int(j, json_get(j, c, "d"), &i));
  CHECK_INT(json_get(j, c, "a"), JSON_NONE);
  CHECK_INT(json_get(j, json_get(j, c, "zz"), "a"), JSON_NONE);
  CHECK(json_bool(j, json_get(j, JSON_ROOT, "t"), &b) && b);
  CHECK_INT(json_offset(j, list), 16);
  s = json_raw(j, c, &n);
  CHECK_MEM(s, n, "{\"d\": 2.5}", 10);
  struct json_iter it = json_iter(j, JSON_ROOT);
  int count = 0;
  while (json_each(&it)) count += it.key != JSON_NONE && it.value == it.key + 1;
  CHECK_INT(count, 4);
  json_free(j);
  buf_clear(&scratch);
}

/* 50,000 keys, each looked up: quadratic work would be seen. And nested objects with equal keys. */
static void large_objects(void) {
  struct buf b;
  struct json *j;
  struct err err;
  char key[32];
  int64_t v;
  int wrong = 0;
  buf_init(&b);
  for (int part = 0; part < 2; part++) {
    buf_adds(&b, part ? ",\"inner\":{" : "{");
    for (int i = 0; i < 50000; i++) buf_addf(&b, "%s\"k\\u0031%d\":%d", i ? "," : "", i, i + part);
  }
  buf_adds(&b, "}}");
  REQUIRE(json_parse(&j, b.data, b.len, NULL, &err) == 0);
  json_id inner = json_get(j, JSON_ROOT, "inner");
  CHECK_INT(json_count(j, JSON_ROOT), 50001);
  for (int i = 0; i < 50000; i++) {
    snprintf(key, sizeof key, "k1%d", i);
    wrong += !json_int(j, json_get(j, JSON_ROOT, key), &v) || v != i;
    wrong += !json_int(j, json_get(j, inner, key), &v) || v != i + 1;
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(json_get(j, inner, "none"), JSON_NONE);
  json_free(j);
  buf_clear(&b);
}

static void check_double(double v, const char *want) {
  struct buf b;
  buf_init(&b);
  json_put_double(&b, v);
  CHECK_STR(b.data, want);
  buf_clear(&b);
}

static void numbers_are_exact(void) {
  static const struct {
    const char *text;
    double value;
  } cases[] = {{"0.1", 0.1},
               {"9007199254740993", 9007199254740992.0},
               {"-9223372036854775808", -9223372036854775808.0},
               {"123456789012345678901234567890", 123456789012345678901234567890.0},
               {"2.2250738585072011e-308", 2.2250738585072011e-308},
               {"1e999", INFINITY},
               {"-0.0", -0.0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct json *j;
    struct err err;
    double d = 1;
    REQUIRE(json_parse(&j, cases[i].text, strlen(cases[i].text), NULL, &err) == 0);
    CHECK(json_double(j, JSON_ROOT, &d));
    CHECK_MEM(&d, sizeof d, &cases[i].value, sizeof d);
    json_free(j);
  }
  check_double(0.1, "0.1");
  check_double(1, "1.0");
  check_double(-0.0, "-0.0");
  check_double(1e300, "1e+300");
  check_double(1.0 / 3, "0.3333333333333333");
  check_double(5e-324, "5e-324");
  check_double(0.30000000000000004, "0.30000000000000004");
}

static void strings_are_escaped_minimally(void) {
  struct buf b;
  buf_init(&b);
  json_put_string(&b, "a\"\\/\n\x01\0\x7f\xC3\xA9", 10);
  CHECK_STR(b.data, "\"a\\\"\\\\/\\n\\u0001\\u0000\x7f\xC3\xA9\"");
  buf_reset(&b);
  json_put_int(&b, INT64_MIN);
  buf_addc(&b, ' ');
  json_put_int(&b, 0);
  CHECK_STR(b.data, "-9223372036854775808 0");
  buf_clear(&b);
}

static void large_objects_may_be_left_unindexed(void) {
  static const char text[] =
      "{\"o\":{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,"
      "\"j\":10,\"a\":11}}";
  struct json_limits limits = {.max_indexed = 10};
  struct json *j;
  int64_t v = 0;
  CHECK(json_parse(&j, text, sizeof text - 1, NULL, NULL) != 0);
  CHECK_INT(json_parse(&j, text, sizeof text - 1, &limits, NULL), 0);
  json_id o = json_get(j, JSON_ROOT, "o");
  CHECK_INT(json_count(j, o), 11);
  CHECK(json_int(j, json_get(j, o, "j"), &v) && v == 10);
  CHECK_INT(json_get(j, o, "k"), JSON_NONE);
  json_free(j);
}

int main(void) {
  TEST(accepted_texts);
  TEST(refused_texts);
  TEST(depth_is_bounded);
  TEST(values_are_found);
  TEST(large_objects);
  TEST(numbers_are_exact);
  TEST(strings_are_escaped_minimally);
  TEST(large_objects_may_be_left_unindexed);
  return test_done();
}
