/* SPDX-License-Identifier: MIT */
/* One column of one row group, read page by page: a stream of (repetition, definition, value).
 * Known to this room only. */
#ifndef LATHE_STORE_PARQUET_COLUMN_H
#define LATHE_STORE_PARQUET_COLUMN_H

#include "store/parquet_footer.h"
#include "store/parquet_values.h"

#define PQ_PAGE_MAX ((size_t)256 << 20) /* unpacked bytes of a page or dictionary */

struct pq_column {
  int fd; /* the file's, not owned */
  const struct pq_node *node;
  const struct pq_chunk *chunk;
  uint64_t at, end;   /* what of the chunk is still unread */
  int64_t chunk_left; /* values on pages that were not begun */
  uint64_t page_left; /* values of this page not yet taken */
  bool peeked, has_dictionary;
  uint32_t r, d; /* levels of the value at hand, when peeked */
  struct pq_runs reps, defs;
  struct pq_values values;
  struct pq_dictionary dictionary;
  struct buf raw, page; /* a page as it is in the file; unpacked */
};

/* Begins at a chunk; what an earlier chunk left is reused. */
int pq_column_open(struct pq_column *c, int fd, const struct pq_node *node,
                   const struct pq_chunk *chunk, struct err *err);
void pq_column_clear(struct pq_column *c);

/* 1 and the levels of the next value in c->r and c->d (it stays the next one until it is taken), 0 at
 * the chunk's end, −1 with err filled. */
int pq_column_peek(struct pq_column *c, struct err *err);
/* Takes the value that was peeked. out is filled when c->d is the column's full level. */
int pq_column_take(struct pq_column *c, struct pq_value *out, struct err *err);

#endif
