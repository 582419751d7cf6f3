/* SPDX-License-Identifier: MIT */
/* A column of the row group being gathered: levels as runs, values as PLAIN bytes or as indices into a
 * dictionary. Known to this room only. */
#ifndef LATHE_STORE_PARQUET_LEAF_H
#define LATHE_STORE_PARQUET_LEAF_H

#include "store/parquet_types.h"
#include "store/schema.h"

struct pq_run {
  uint32_t count, value;
};

/* Where a page ends: entries and values before its end, and bytes of plain values. */
struct pq_cut {
  uint64_t entries, values;
  size_t bytes;
};

struct pq_leaf {
  const struct schema_node *node;
  unsigned def, rep;     /* full levels */
  struct buf defs, reps; /* struct pq_run each */
  struct buf plain;      /* PLAIN bytes; booleans one byte each until they are packed */
  struct buf dictionary; /* PLAIN bytes of the distinct values */
  struct buf offsets;    /* size_t: where each of them begins */
  struct buf indices;    /* uint32_t for each value, while the dictionary lasts */
  uint32_t *slots;       /* hash table: index + 1, 0 for none */
  size_t slot_cap;
  bool use_dictionary, gave_up; /* now; once and for all */
  uint64_t entries, values, nulls;
  size_t dictionary_bytes_seen; /* bytes that the values would take, for the page cut */
  struct pq_cut last;           /* the end of the last page */
  struct buf cuts;              /* struct pq_cut each */
  bool has_range, no_range;     /* statistics: least and most are known; given up */
  struct buf least, most;
};

void pq_leaf_clear(struct pq_leaf *l);
void pq_leaf_begin(struct pq_leaf *l); /* a new row group */

void pq_leaf_null(struct pq_leaf *l, unsigned rep, unsigned def);
/* A value as PLAIN has it, without a length before strings. Failed buffers are found at the end, by
 * pq_leaf_check. */
void pq_leaf_value(struct pq_leaf *l, unsigned rep, const void *bytes, size_t n);
int pq_leaf_check(const struct pq_leaf *l, struct err *err);
size_t pq_leaf_pending(const struct pq_leaf *l); /* bytes of values since the last cut */
void pq_leaf_cut(struct pq_leaf *l);             /* ends a page here */

enum pq_type pq_leaf_type(const struct pq_leaf *l);

/* The hybrid encoding of runs: appends them, `width` bits a value. */
struct pq_hybrid {
  struct buf *out;
  unsigned width, pending;
  uint32_t eight[8];
  size_t head; /* where the head of the open group of groups is; SIZE_MAX when none */
  unsigned groups;
};
void pq_hybrid_begin(struct pq_hybrid *h, struct buf *out, unsigned width);
void pq_hybrid_put(struct pq_hybrid *h, uint32_t value, uint64_t count);
void pq_hybrid_end(struct pq_hybrid *h);

#endif
