/* SPDX-License-Identifier: MIT */
/* One Parquet value as JSON. Known to this room only. */
#ifndef LATHE_STORE_PARQUET_JSON_H
#define LATHE_STORE_PARQUET_JSON_H

#include "store/parquet_types.h"
#include "store/parquet_values.h"

struct pq_notes {
  uint64_t not_finite; /* NaN and infinities, written as null */
  uint64_t bad_utf8;   /* texts that had bytes replaced by U+FFFD */
  uint64_t bad_json;   /* values of JSON columns that are no JSON, written as strings */
};

/* Appends the value; text: BYTE_ARRAYs without annotation are text. Check out with buf_check. */
int pq_json_value(const struct pq_node *node, const struct pq_value *v, bool text,
                  struct pq_notes *notes, struct buf *out, struct err *err);
/* The column's type in a word, as schema() shows it: "string", "int64", "timestamp[us, UTC]" … */
void pq_type_name(const struct pq_node *node, struct buf *out);

#endif
