/* SPDX-License-Identifier: MIT */
/* Statistics of many texts: how values are spread, and what repeats.
 *
 * A spread counts values: exactly below 256, above in steps of less than 1/128 of the value, so that
 * a percentile is at most 0.8 % too small. Least, greatest, sum and number are exact.
 *
 * A census counts distinct words, openings and texts. Words are runs of letters, digits and marks, in
 * lower case; "don't" is one word. An opening is the first 10 characters of a text. Two texts are the
 * same when their bytes are (128 bits of xxh3). All of it is exact until its memory is used up; from
 * then on what is new is not remembered, and the numbers say "at least".
 */
#ifndef LATHE_TEXT_CENSUS_H
#define LATHE_TEXT_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* ---- spreads ---- */

struct spread;
struct spread *spread_new(void); /* NULL: no memory */
void spread_free(struct spread *s);
void spread_add(struct spread *s, uint64_t value, uint64_t times);
struct spread_facts {
  uint64_t count, least, greatest;
  double sum;
};
struct spread_facts spread_facts(const struct spread *s);
/* The value below or at which a share (0 … 1) of all values lies; 0 without values. */
uint64_t spread_percentile(const struct spread *s, double share);
/* How many values are in [from, to); borders inside a step count it as a whole by its beginning. */
uint64_t spread_between(const struct spread *s, uint64_t from, uint64_t to);

/* ---- censuses ---- */

struct census;
/* memory: bytes, at least 1 MiB. */
int census_new(struct census **out, size_t memory, struct err *err);
void census_free(struct census *c);
struct census_text {
  uint64_t characters, words;
};
/* s: valid UTF-8. */
int census_add(struct census *c, const char *s, size_t n, struct census_text *facts,
               struct err *err);

enum census_kind { CENSUS_WORDS, CENSUS_OPENINGS, CENSUS_TEXTS };
struct census_count {
  uint64_t distinct, total; /* total: with repetitions */
  bool complete;            /* false: distinct is "at least" */
};
struct census_count census_count(const struct census *c, enum census_kind kind);
/* The most frequent words or openings, most frequent first, equal ones in byte order. At most n;
 * returns how many. The strings belong to the census. */
struct census_entry {
  const char *text;
  size_t len;
  uint64_t count;
};
size_t census_top(const struct census *c, enum census_kind kind, struct census_entry *out,
                  size_t n);

#endif
