/* SPDX-License-Identifier: MIT */
/* Which side (train, validation, test) each record of a set goes to, whole groups together.
 *
 *   add_lines …   per record: its own group (document, or its id), what else ties it to others
 *                 (near-duplicate cluster), stratum, side if a value decides
 *   finish        groups tied by a record become one; each gets a place; sides
 *   side(i)
 *
 * Place. A group's place is a hash of the seed and of the name of one of its own groups (60 bits of
 * SHA-256), chosen by another hash; so it does not depend on the order of records, and a group that takes in another keeps its place
 * unless the new one's name is chosen. What ties (a cluster's name) is never chosen: that a document
 * gets a cluster does not move it.
 *
 *   GROUPS_HASH    place / 2⁶⁴ below the shares: adding records moves none but those of groups that merge
 *   GROUPS_EXACT   groups in the order of their places; the first round(n · share) to the first side …;
 *                  with strata, counted on from stratum to stratum, so each is within one of its share
 *
 * Memory: `memory` bytes; 16 bytes a record and a group go to disk beyond it. Ties between groups are
 * held in memory, some 32 bytes each (ERR_LIMIT beyond the ceiling).
 */
#ifndef LATHE_DEDUP_GROUPS_H
#define LATHE_DEDUP_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { GROUPS_TRAIN, GROUPS_VALIDATION, GROUPS_TEST, GROUPS_SIDES };
enum groups_method { GROUPS_AUTO, GROUPS_HASH, GROUPS_EXACT };
#define GROUPS_AUTO_LIMIT 1000 /* GROUPS_AUTO: exact below so many groups, or with strata */

struct groups_options {
  const char *const *fields; /* NULL-terminated paths: the first names a record's own group (absent:
                                its id, or its line, does), the others tie groups. Empty: each id apart */
  const char *stratify;      /* a path, or NULL */
  const char *by;            /* a path whose values may decide (groups_decide), or NULL */
  uint64_t seed;
  size_t memory;
  const char *scratch; /* an existing folder */
};

struct groups;
int groups_new(struct groups **out, const struct groups_options *o, struct err *err); /* copies */
void groups_free(struct groups *g);

/* Records whose `by` member prints as this value go to that side, and count in no group. */
int groups_decide(struct groups *g, const char *value, int side, struct err *err);
int groups_add_lines(struct groups *g, const char *path, uint64_t *records, struct err *err);

struct groups_facts {
  enum groups_method method;
  uint64_t records, groups, decided;
  uint64_t lonely;                  /* records without the first field */
  uint64_t merged;                  /* so many groups fewer because of ties */
  uint64_t groups_of[GROUPS_SIDES]; /* decided records not counted */
  uint64_t records_of[GROUPS_SIDES];
  uint64_t unsettled; /* GROUPS_HASH: records of merged groups whose parts alone would lie apart */
};
int groups_finish(struct groups *g, enum groups_method method, const double share[GROUPS_SIDES],
                  struct groups_facts *facts, struct err *err);

/* After groups_finish; i below facts.records. */
int groups_side(const struct groups *g, uint64_t i);
/* Its group was merged, and adding more may have moved it (GROUPS_HASH). */
bool groups_unsettled(const struct groups *g, uint64_t i);
uint64_t groups_count(const struct groups *g); /* records */

#endif
