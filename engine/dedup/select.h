/* SPDX-License-Identifier: MIT */
/* Selection to a budget: which records, or groups of records, are kept.
 *
 * Records are added in the order in which they come; each names its group by a hash (or is a group by
 * itself). Then groups are gone through best first: by mean score, highest first; among equals by
 * their draw, lowest first; among equal draws the one that came first. A group is kept when it still
 * fits: at most `groups` of them, and at most `tokens` tokens together. What does not fit is passed
 * over, and a later, smaller one may still be kept.
 *
 *   record ──► group number         4 bytes a record, where there are groups
 *   group  ──► score, draw, tokens  32 bytes; the table of hashes 16 more, sorting 4
 */
#ifndef LATHE_DEDUP_SELECT_H
#define LATHE_DEDUP_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct selection;
/* memory: the most bytes it may take. ERR_NOMEM. */
int selection_new(struct selection **out, size_t memory, struct err *err);
void selection_free(struct selection *s);

/* One more record. group NULL: a group by itself. NaN scores count as lowest. ERR_NOMEM,
 * ERR_LIMIT (more memory than allowed, 2³² groups). */
int selection_add(struct selection *s, const uint64_t *group, double score, uint64_t draw,
                  uint64_t tokens, struct err *err);

struct selection_facts {
  uint64_t groups, kept_groups, kept_records, kept_tokens, records, tokens;
};
/* UINT64_MAX: no limit. */
int selection_choose(struct selection *s, uint64_t groups, uint64_t tokens,
                     struct selection_facts *facts, struct err *err);
/* Is record i (from 0) kept? After selection_choose. */
bool selection_kept(const struct selection *s, size_t i);

#endif
