/* SPDX-License-Identifier: MIT */
/* Finds the values of a long JSON text without holding it: the elements of an array, or values one
 * after the other.
 *
 *   [ {"a": 1}, {"a": 2} ]        →   {"a": 1}   {"a": 2}          (the array itself is not a value)
 *   {"a": 1} {"a": 2}             →   the same
 *
 * The text comes in blocks of any size. Only where a value begins and ends is looked at (strings,
 * brackets); whether it is JSON is for json_parse to say. A value is lent out of the block it lies in,
 * or put together when it crosses blocks. Memory: the longest value, at most max_value; a longer one
 * is skipped without being held and reported as too_long.
 *
 *   struct json_values *v;  json_values_new(&v, max, err)
 *   for each block:  while ((got = json_values_next(v, &block, &n, &value, err)) == 1) …
 *   at the end:      got = json_values_end(v, &value, err)          1: a last number or word
 *
 * Several arrays may follow each other, and RS (U+001E) may stand before a value (RFC 7464). A byte
 * order mark at the start is skipped.
 */
#ifndef LATHE_JSON_VALUES_H
#define LATHE_JSON_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json_values;

struct json_value {
  const char *text; /* valid until the next call; NULL when too long */
  size_t len;       /* bytes, also of one that is too long */
  uint64_t number;  /* from 1 */
  uint64_t line;    /* on which it begins, from 1 */
  bool too_long;
};

int json_values_new(struct json_values **out, size_t max_value, struct err *err);
void json_values_free(struct json_values *v);

/* Takes bytes off the front of the block (*bytes, *n). 1: *value is filled; 0: the block is used up;
 * −1: ERR_FORMAT ("line 3: …", and so again at every later call) or ERR_NOMEM. */
int json_values_next(struct json_values *v, const char **bytes, size_t *n, struct json_value *value,
                     struct err *err);

/* There are no more bytes. 1: a value that only the end could end; 0: all is well; −1: ERR_FORMAT,
 * the text ends inside a value or array. */
int json_values_end(struct json_values *v, struct json_value *value, struct err *err);

#endif
