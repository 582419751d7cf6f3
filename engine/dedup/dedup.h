/* SPDX-License-Identifier: MIT */
/* Duplicates among records: exact, and near by MinHash-LSH.
 *
 *   add, add, …      record 0, 1, 2 … : exact key (xxh3-128), set of shingles, MinHash, band keys
 *   finish           groups of equal keys → candidate pairs → true Jaccard → clusters
 *   verdict(i)       keep, or a duplicate of record `of`
 *
 * The earliest record of each cluster is kept. A cluster is everything connected by exact equality
 * or by a checked pair; so a member may be less similar to the kept record than `near`, and its
 * verdict says how similar it is. The result depends on the records and their order only: not on
 * threads, memory or processor.
 *
 * Memory. `memory` bounds keys (spilled as sorted runs and merged) and sets of shingles (spilled
 * and mapped); beside them stay 24 bytes a record, and one batch of texts. Files go to `scratch`.
 */
#ifndef LATHE_DEDUP_DEDUP_H
#define LATHE_DEDUP_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

struct dedup_options {
  double near;         /* similarity of near duplicates, (0, 1]; 0: exact ones only */
  unsigned shingle;    /* words a shingle, 1 … 32 */
  unsigned buckets;    /* of LSH; with rows 0: chosen for `near` (14 × 8 for 0.8) */
  unsigned rows;       /* of each bucket; buckets × rows ≤ 112 */
  bool normalise;      /* exact equality of simplified words instead of bytes */
  size_t memory;       /* bytes */
  const char *scratch; /* an existing folder; needed only beyond the memory */
  const char *scope;   /* of lines: a member such as "metadata.document"; only records with the same
                          value   are compared. NULL: all */
  struct pool *pool;   /* may be NULL */
};
void dedup_defaults(struct dedup_options *o); /* 0.8, 5 words, 256 MiB, "/tmp" */

struct dedup;
int dedup_new(struct dedup **out, const struct dedup_options *o, struct err *err);
void dedup_free(struct dedup *d); /* removes its files */

/* The next record's text; copied until its batch is worked on. An empty or absent (NULL) text is
 * never a near duplicate; absent ones are not exact duplicates either. */
int dedup_add(struct dedup *d, const char *text, size_t n, struct err *err);
/* Every line of a JSONL file is one record, its text the named member: a string, or any other value
 * as written. A line without it counts as an absent text. *records (may be NULL) gets how many.
 * ERR_FORMAT names file and line of what is not a JSON object. */
int dedup_add_lines(struct dedup *d, const char *path, const char *field, uint64_t *records,
                    struct err *err);

struct dedup_facts {
  uint64_t records, kept, exact, near; /* exact + near + kept = records */
  uint64_t candidates, checked;        /* members of groups, pairs compared */
  uint64_t shingles;                   /* hashed, repetitions within a record left out */
  uint64_t spilled;                    /* runs written to disk */
};
int dedup_finish(struct dedup *d, struct dedup_facts *facts, struct err *err);

enum dedup_kind { DEDUP_KEEP, DEDUP_EXACT, DEDUP_NEAR };
struct dedup_verdict {
  enum dedup_kind kind;
  uint64_t of;       /* the kept record of its cluster; itself when kept */
  double similarity; /* to that record: 1 for the same bytes */
};
uint64_t dedup_count(const struct dedup *d); /* records added */
bool dedup_finished(const struct dedup *d);  /* successfully */
/* i < dedup_count, after dedup_finish. */
struct dedup_verdict dedup_verdict(const struct dedup *d, uint64_t i);

#endif
