/* SPDX-License-Identifier: MIT */
/* json/values: the same values however the text is cut into blocks. */
#include "support/test.h"

#include "base/buf.h"
#include "json/values.h"

#include <stdlib.h>
#include <string.h>

/* Reads a text in blocks of `block` bytes, each in a heap block of its own; writes "1@1:VALUE|" … */
static void read_all(const char *text, size_t block, size_t max, struct buf *out) {
  struct json_values *v;
  struct json_value value;
  struct err err;
  size_t n = strlen(text);
  int got = 0;
  buf_reset(out);
  if (json_values_new(&v, max, &err)) {
    test_fail(__FILE__, __LINE__, "%s", err.message);
    return;
  }
  for (size_t at = 0; at < n && got >= 0; at += block) {
    size_t left = n - at < block ? n - at : block;
    char *copy = malloc(left);
    memcpy(copy, text + at, left);
    const char *p = copy;
    while ((got = json_values_next(v, &p, &left, &value, &err)) == 1) {
      buf_addf(out, "%d@%d:", (int)value.number, (int)value.line);
      if (value.too_long)
        buf_addf(out, "too long %zu", value.len);
      else
        buf_add(out, value.text, value.len);
      buf_addc(out, '|');
    }
    free(copy);
  }
  if (got == 0) got = json_values_end(v, &value, &err);
  if (got == 1) {
    buf_addf(out, "%d@%d:", (int)value.number, (int)value.line);
    buf_add(out, value.text ? value.text : "", value.text ? value.len : 0);
    buf_addc(out, '|');
  }
  if (got < 0) buf_addf(out, "! %s", err.message);
  buf_addc(out, 0);
  json_values_free(v);
}

struct expectation {
  const char *text, *want;
};

static const struct expectation cases[] = {
    {"", ""},
    {" \n\t", ""},
    {"[]", ""},
    {"[ ]\n", ""},
    {"{}", "1@1:{}|"},
    {"[{}]", "1@1:{}|"},
    {"\xef\xbb\xbf[1, 2]", "1@1:1|2@1:2|"},
    {"\xef\xbb\xbf{\"a\": 1}", "1@1:{\"a\": 1}|"},
    {"[{\"a\": [1, {}]},\n {\"b\": \"]}\\\"[\"}]",
     "1@1:{\"a\": [1, {}]}|2@2:{\"b\": \"]}\\\"[\"}|"},
    {"{\"a\": 1}{\"b\": 2}\n\n{\"c\":\n3}", "1@1:{\"a\": 1}|2@1:{\"b\": 2}|3@3:{\"c\":\n3}|"},
    {"[1][2]", "1@1:1|2@1:2|"},
    {"\x1e{\"a\":1}\n\x1e{\"a\":2}\n", "1@1:{\"a\":1}|2@2:{\"a\":2}|"},
    {"[\"a\\\\\", \"\\\"\", -1.5e3, true, null]",
     "1@1:\"a\\\\\"|2@1:\"\\\"\"|3@1:-1.5e3|4@1:true|5@1:null|"},
    {"12 true \"x\"", "1@1:12|2@1:true|3@1:\"x\"|"},
    {"12", "1@1:12|"},
    {"[1,", "1@1:1|! line 1: the array does not end"},
    {"[1\n", "1@1:1|! line 2: the array does not end"},
    {"[{\"a\":\n 1,", "! line 1: value 1 begins here and does not end"},
    {"[\n\"abc", "! line 2: value 1 begins here and does not end"},
    {"[1 2]", "1@1:1|! line 1: ',' or ']' expected behind value 1, got '2'"},
    {"[1,,2]", "1@1:1|! line 1: a value expected behind value 1, got ','"},
    {"[1,]", "1@1:1|! line 1: a value expected behind value 1, got ']'"},
    {"[,1]", "! line 1: a value expected behind value 0, got ','"},
    {"]", "! line 1: a value expected behind value 0, got ']'"},
    {"{\"a\":1}}", "1@1:{\"a\":1}|! line 1: a value expected behind value 1, got '}'"},
    {"{\"a\":[}]", "1@1:{\"a\":[}]|"}, /* which bracket closes is for the parser to check */
};

static void values_do_not_depend_on_blocks(void) {
  struct buf out;
  buf_init(&out);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t block = 1; block < 24; block++) {
      read_all(cases[i].text, block, 1 << 20, &out);
      if (strcmp(out.data, cases[i].want) != 0)
        test_fail(__FILE__, __LINE__, "%s in blocks of %zu: got %s, expected %s", cases[i].text,
                  block, out.data, cases[i].want);
    }
  buf_clear(&out);
}

static void long_values_are_not_held(void) {
  struct buf out;
  buf_init(&out);
  for (size_t block = 1; block < 24; block++) {
    read_all("[\"12345678\", \"123\", {\"abc\": \"d\"}, 4]", block, 8, &out);
    CHECK_STR(out.data, "1@1:too long 10|2@1:\"123\"|3@1:too long 12|4@1:4|");
  }
  buf_clear(&out);
}

int main(void) {
  TEST(values_do_not_depend_on_blocks);
  TEST(long_values_are_not_held);
  return test_done();
}
