/* SPDX-License-Identifier: MIT */
/* Duplicates among records: exact, and near by MinHash-LSH.
 *
 *   add, add, …      record 0, 1, 2 … : exact key (xxh3-128), set of shingles, MinHash, band keys
 *   finish           groups of equal keys → candidate pairs → true Jaccard → clusters
 *   verdict(i)       keep, or a duplicate of record `of`; the name of its cluster
 *
 * A cluster is everything connected by exact equality or by a checked pair; so a member may be less
 * similar to the kept record than `near`, and its verdict says how similar it is. Of a cluster the
 * record with the smallest place stays:
 *
 *   place = (metadata.path, start of metadata.span or origin_span, metadata.chunk, metadata.line
 *            or metadata.row, id, hash of the line)
 *
 * Nothing depends on the order in which records are added, on threads, memory or processor: within a
 * group records are compared in the order of a hash of their lines. Only records whose lines are
 * equal byte for byte are told apart by their order.
 *
 * Memory. 8 bytes a record for the clusters, one batch of texts, and `memory` for everything else:
 * keys (spilled as sorted runs and merged), sets of shingles, places (spilled and mapped). Files go
 * to `scratch`: 24 bytes for each band of a record, 4 for each of its different shingles, and its place.
 */
#ifndef LATHE_DEDUP_DEDUP_H
#define LATHE_DEDUP_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

#define DEDUP_RECORD_BYTES 8 /* held in memory for each record, whatever `memory` is */

struct dedup_options {
  double near;           /* similarity of near duplicates, (0, 1]; 0: exact ones only */
  unsigned ngram;        /* words a shingle, 1 … 32 */
  unsigned bands;        /* of LSH; 0: chosen for `near` (14 × 8 from 0.8 on) */
  unsigned rows;         /* of each band; bands × rows ≤ 1024 */
  bool unverified;       /* the bands' word is taken: no pair is compared */
  bool normalise;        /* exact equality of simplified words instead of bytes */
  bool distinct_numbers; /* else all numbers are the same word */
  size_t memory;         /* bytes */
  const char *scratch;   /* an existing folder; needed only beyond the memory */
  const char *scope;     /* of lines: a member such as "metadata.document"; only records with the
                            same value are compared. NULL: all */
  struct pool *pool;     /* may be NULL */
};
void dedup_defaults(struct dedup_options *o); /* 0.8, 5 words, 256 MiB, "/tmp" */

struct dedup;
int dedup_new(struct dedup **out, const struct dedup_options *o, struct err *err);
void dedup_free(struct dedup *d); /* removes its files */
/* The bands and rows that are used; 0 and 0 for exact duplicates only. */
void dedup_banding(const struct dedup *d, unsigned *bands, unsigned *rows);

/* The next record's text; copied until its batch is worked on. An empty or absent (NULL) text is
 * never a near duplicate; absent ones are not exact duplicates either. Its place is its number. */
int dedup_add(struct dedup *d, const char *text, size_t n, struct err *err);
/* Every line of a JSONL file is one record, its text the named member ("text", "metadata.title"): a
 * string, or any other value as written; of several names (a NULL-terminated list) the strings in them,
 * joined. A line without it counts as an absent text. *records (may be NULL) gets how many. ERR_FORMAT
 * names file and line of what is not a JSON object. */
int dedup_add_lines(struct dedup *d, const char *path, const char *const *fields, uint64_t *records,
                    struct err *err);

struct dedup_facts {
  uint64_t records, kept, exact, near; /* exact + near + kept = records */
  uint64_t clusters;                   /* of two or more */
  uint64_t absent;                     /* records without a text */
  uint64_t candidates, checked;        /* members of groups, pairs compared */
  uint64_t shingles;                   /* hashed, repetitions within a record left out */
  uint64_t spilled;                    /* files written to disk */
};
int dedup_finish(struct dedup *d, struct dedup_facts *facts, struct err *err);

enum dedup_kind { DEDUP_KEEP, DEDUP_EXACT, DEDUP_NEAR };
struct dedup_verdict {
  enum dedup_kind kind; /* exact: the same text as the kept record's */
  uint64_t of;          /* the kept record of its cluster; itself when kept */
  double similarity;    /* to that record: 1 for the same bytes */
  uint64_t cluster;     /* a hash of the kept record's place; 0: alone in its cluster */
};
uint64_t dedup_count(const struct dedup *d); /* records added */
bool dedup_finished(const struct dedup *d);  /* successfully */
/* i < dedup_count, after dedup_finish. */
struct dedup_verdict dedup_verdict(const struct dedup *d, uint64_t i);
/* The id of record i as its line has it (of a string: without quotes, zero bytes as U+0001); "" for
 * none. Valid as long as d. */
const char *dedup_id(const struct dedup *d, uint64_t i);

#endif
