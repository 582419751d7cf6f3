/* SPDX-License-Identifier: MIT */
/* What the sides of a divided set have in common.
 *
 *   add_lines(file, sides) …   every line a record, its side from groups_side
 *   finish                     for each kind and each pair of sides: what is shared, how many records
 *                              of the later side are affected, a few examples
 *
 *   LEAK_DOCUMENT   metadata.document            LEAK_EXACT   the same strings
 *   LEAK_CLUSTER    metadata.cluster             LEAK_NEAR    near duplicates (verified), exact ones too
 *   LEAK_NGRAM      runs of n simplified words
 *
 * A record's text is its strings (all but id, source and metadata, or those of named fields), joined.
 * Memory: that of dedup.h, a byte and a half a record, and half of `memory` for an external sort. Of very
 * much text only every 2^k-th run is taken, by its hash, so that the sort's files stay below some 16 GB:
 * a passage that is shared is then still found with all but certainty.
 */
#ifndef LATHE_DEDUP_LEAK_H
#define LATHE_DEDUP_LEAK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "dedup/groups.h"

enum leak_kind { LEAK_DOCUMENT, LEAK_CLUSTER, LEAK_EXACT, LEAK_NEAR, LEAK_NGRAM, LEAK_KINDS };
enum { LEAK_TRAIN_VALIDATION, LEAK_TRAIN_TEST, LEAK_VALIDATION_TEST, LEAK_PAIRS };
#define LEAK_EXAMPLES 5

struct leak_options {
  double near;               /* as in dedup.h; 0: not looked for */
  unsigned ngram;            /* words; 0: not looked for */
  const char *const *fields; /* NULL-terminated; NULL: all strings */
  uint64_t bytes;            /* of all lines, about: chooses k */
  size_t memory;
  const char *scratch;
  struct pool *pool;
};
struct leak_shared {
  uint64_t shared;  /* documents, clusters, texts, runs on both sides; LEAK_NEAR: clusters */
  uint64_t records; /* of the later side that have one of them */
};
struct leak_example {
  enum leak_kind kind;
  uint64_t first, second; /* records, of the earlier and the later side */
};
struct leak_report {
  uint64_t records[GROUPS_SIDES];
  struct leak_shared found[LEAK_KINDS][LEAK_PAIRS];
  struct leak_example examples[LEAK_KINDS * LEAK_EXAMPLES];
  size_t example_n;
  unsigned every; /* one run in so many was taken */
};

struct leak;
int leak_new(struct leak **out, const struct leak_options *o, struct err *err);
void leak_free(struct leak *l);
/* Files in the order in which groups_add_lines had them. */
int leak_add_lines(struct leak *l, const struct groups *g, const char *path, struct err *err);
int leak_finish(struct leak *l, struct leak_report *report, struct err *err);

#endif
