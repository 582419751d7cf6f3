/* SPDX-License-Identifier: MIT */
/* The footer of a Parquet file: schema, row groups, column chunks. Known to this room only. */
#ifndef LATHE_STORE_PARQUET_FOOTER_H
#define LATHE_STORE_PARQUET_FOOTER_H

#include "store/parquet_types.h"

struct pq_chunk {
  uint64_t at, bytes; /* where its pages are in the file */
  int64_t values;     /* with nulls */
  int codec, type;
  bool encrypted, elsewhere;
};

struct pq_group {
  int64_t rows;
  size_t first; /* of its chunks: one for each leaf, in the schema's order */
};

struct pq_pair {
  const char *key, *value;
  size_t key_n, value_n;
};

struct pq_footer {
  struct buf bytes; /* the footer itself; names and pairs point into it */
  struct buf keys;  /* the names as JSON */
  struct pq_node *nodes;
  uint32_t *leaves; /* nodes that are leaves, in order */
  struct pq_group *groups;
  struct pq_chunk *chunks;
  struct pq_pair *pairs;
  size_t node_count, leaf_count, group_count, chunk_count, pair_count;
  uint64_t rows;
  const char *created_by;
  size_t created_n;
};

/* Takes footer->bytes (already read) apart; file_size bounds where chunks may be. The caller clears
 * in any case. Messages do not name the file. */
int pq_footer_parse(struct pq_footer *footer, uint64_t file_size, struct err *err);
void pq_footer_clear(struct pq_footer *footer);

#endif
