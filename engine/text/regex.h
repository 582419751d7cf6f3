/* SPDX-License-Identifier: MIT */
/* Regular expressions over UTF-8 (PCRE2, JIT where there is one), for patterns that people write in
 * files: JSON Schema's `pattern`. What takes too long is an error, not a wait: backtracking is bounded.
 */
#ifndef LATHE_TEXT_REGEX_H
#define LATHE_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct regex;

/* ERR_FORMAT with the place in the pattern where it is wrong; ERR_NOMEM. */
int regex_new(struct regex **out, const char *pattern, size_t n, struct err *err);
void regex_free(struct regex *r);

/* Finds the first match in a text of valid UTF-8, from byte `from` on: 1 and its bounds, 0: none,
 * −1: ERR_LIMIT (too much backtracking), ERR_FORMAT (no UTF-8), ERR_NOMEM. */
int regex_find(const struct regex *r, const char *text, size_t n, size_t from, size_t *start,
               size_t *end, struct err *err);

#endif
