/* SPDX-License-Identifier: MIT */
/* A text as a set of word n-grams ("shingles"), each a 32-bit hash.
 *
 *   "The 3.5 Größen!"  →  words  the · 0 · großen   (lower case, numbers 0, no marks, no signs)
 *                      →  one hash for every k words in a row
 *
 * The simplification is datatrove's for MinHash; a table may also take numbers for what they are, as they
 * are written (3.5 is neither 3,5 nor 3.50). Scripts that put no blanks between words (Han,
 * kana, Thai, Lao, Khmer, Myanmar) give one word per character. A text of fewer than k words is one
 * shingle of all of them; a text without words has none. A table is read-only once made.
 */
#ifndef LATHE_DEDUP_SHINGLE_H
#define LATHE_DEDUP_SHINGLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SHINGLE_WORDS_MAX 32

struct shingle_table;
int shingle_table_new(struct shingle_table **out, bool distinct_numbers, struct err *err);
void shingle_table_free(struct shingle_table *t);

struct shingles {
  uint32_t *v; /* owned */
  size_t n, cap;
};
void shingles_clear(struct shingles *s); /* may be called twice */

/* Appends the hashes of text's shingles of k words (1 … SHINGLE_WORDS_MAX), in text order. */
int shingle_text(const struct shingle_table *t, const char *text, size_t n, unsigned k,
                 struct shingles *out, struct err *err);

/* The same with 64 bits a hash and the bytes [start, end) that it stands for, from the first letter of
 * its first word to the end of its last; nothing for a text of fewer than k words. Stops with each's
 * non-zero return. */
typedef int shingle_each(void *arg, uint64_t hash, size_t start, size_t end, struct err *err);
int shingle_runs(const struct shingle_table *t, const char *text, size_t n, unsigned k,
                 shingle_each *each, void *arg, struct err *err);

/* Sorts and removes repetitions. ERR_NOMEM. */
int shingles_unique(struct shingles *s, struct err *err);

/* 128 hash bits of the simplified words, for comparison; returns the number of words. */
size_t shingle_digest(const struct shingle_table *t, const char *text, size_t n, uint64_t out[2]);

/* |A ∩ B| / |A ∪ B| of two sorted sets. When either was cut to its `cap` smallest members, the
 * estimate from the cap smallest of the union (bottom-k). */
double shingle_jaccard(const uint32_t *a, size_t an, const uint32_t *b, size_t bn, size_t cap);

#endif
