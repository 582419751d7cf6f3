/* SPDX-License-Identifier: MIT */
/* Records passed on by a condition on one field, line by line, without making them Lua's.
 *
 *   lines ──► parse ──► field ──► all tests hold ──► the record's bytes to the writer
 *                                     no, or not sure ──► the line is given back to the caller
 *
 * What passes is copied as it came. Everything else is the caller's: a line that is no JSON or too
 * long, a record that fails, and those that are left to the slow way because the test is not exact here
 * (an integer beyond 2^53 against a number with a fraction).
 */
#ifndef LATHE_STORE_PASS_H
#define LATHE_STORE_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file/file.h"
#include "json/json.h"

enum pass_kind {
  PASS_EXISTS, /* flag: whether the field is to be there and not null */
  PASS_MIN,    /* a number in bounds */
  PASS_MAX,
  PASS_EQUALS,  /* one of the values: the same text, number or boolean */
  PASS_OTHER,   /* there, and none of the values */
  PASS_CONTAINS /* a text with this in it */
};

struct pass_value {
  enum json_kind kind; /* JSON_TRUE, JSON_FALSE, JSON_INT, JSON_REAL, JSON_STRING */
  int64_t i;
  double d;
  const char *s; /* the caller's */
  size_t n;
};

struct pass_test {
  enum pass_kind kind;
  bool flag;
  struct pass_value *values;
  size_t count;
};

struct pass {
  const char *field; /* "metadata.score": keys and positions (from 1) joined by points */
  size_t field_size;
  const struct pass_test *tests; /* none: every record passes */
  size_t test_count;
  struct json *tape; /* used again from line to line; json_free at the end */
  struct buf scratch;
};

/* Writes lines that pass until one does not: 1 and *line, 0 at the end, −1 with err filled. *passed counts up.
 */
int pass_lines(struct pass *p, struct lines *lines, struct file_replace *out, struct line *line,
               uint64_t *passed, struct err *err);

/* Whether one record passes for sure; false when it is no JSON object. *text, *n: its bytes. */
bool pass_record(struct pass *p, const char *line, size_t n, const char **text, size_t *text_size);

#endif
