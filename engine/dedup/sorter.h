/* SPDX-License-Identifier: MIT */
/* An external sort of fixed-size entries within a ceiling of memory.
 *
 *   add … ─► buffer ─ full ─► sorted run file ─┐
 *   add … ─► buffer ─ full ─► sorted run file ─┼─ merge ─► next, next, … in order of (a, b, id)
 *            the last buffer, sorted ──────────┘
 *
 * Nothing is written while all fits the buffer. Run files are made in `folder` as NAME.run-K and
 * removed by sorter_free.
 */
#ifndef LATHE_DEDUP_SORTER_H
#define LATHE_DEDUP_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct entry {
  uint64_t a, b; /* the key */
  uint64_t id;
};

struct sorter;
/* memory: bytes for the buffers (at least 1 MiB is taken). prefix: folder and beginning of the run
 * files' names; copied. */
int sorter_new(struct sorter **out, const char *prefix, size_t memory, struct err *err);
void sorter_free(struct sorter *s);

int sorter_add(struct sorter *s, struct entry e, struct err *err);
/* After the last add. ERR_CANCELLED is polled. */
int sorter_sort(struct sorter *s, struct err *err);
/* 1 and *e, 0 at the end, −1 with err filled. */
int sorter_next(struct sorter *s, struct entry *e, struct err *err);

size_t sorter_runs(const struct sorter *s); /* run files written so far */

#endif
