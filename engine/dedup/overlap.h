/* SPDX-License-Identifier: MIT */
/* Which records share runs of n words with given rows (of evaluation data, say).
 *
 *   add(row, line), …    every run of n simplified words of the row's strings ─► (hash, row)
 *   seal                 sorted by hash; of rows with the same run the first stays
 *   match(line)          how many of the record's runs are there, and the first passage in common
 *
 * Runs do not cross from one string of a row to the next, unless none of its strings has n words: then
 * the strings are joined. A row that is shorter than n words even so is matched as a whole: by records
 * whose joined strings are the same words, and numbers, and no others.
 *
 * Memory: 12 bytes a run while adding and after it, at most `memory` (ERR_LIMIT beyond).
 */
#ifndef LATHE_DEDUP_OVERLAP_H
#define LATHE_DEDUP_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct overlap;
/* n: words, 1 … 32. */
int overlap_new(struct overlap **out, unsigned n, size_t memory, struct err *err);
void overlap_free(struct overlap *o);

/* A JSON object's strings: those of the named members (NULL-terminated list of paths such as
 * "question"), or with NULL of all but id, source and metadata. Returns how many runs in *runs (may be
 * NULL): 0 for a row without words. */
int overlap_add(struct overlap *o, uint32_t row, const char *line, size_t n,
                const char *const *fields, uint64_t *runs, struct err *err);
int overlap_seal(struct overlap *o, struct err *err);
uint64_t overlap_count(const struct overlap *o); /* different runs, after overlap_seal */

struct overlap_hit {
  uint64_t runs, shared; /* of the record; of them in rows */
  uint32_t row;          /* of the first */
  bool whole;            /* a short row that is all of the record */
};
/* After overlap_seal. passage is emptied, then gets the words in common from the first shared run on,
 * as the record has them (at most 300 bytes). Any number of threads may match. */
int overlap_match(const struct overlap *o, const char *line, size_t n, const char *const *fields,
                  struct overlap_hit *hit, struct buf *passage, struct err *err);

#endif
