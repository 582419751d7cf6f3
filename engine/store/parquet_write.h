/* SPDX-License-Identifier: MIT */
/* Parquet files written from JSON records.
 *
 * The columns come from a schema that was learnt from the same records (store/schema.h); each may be
 * null. A list is written in three levels (list.element), a string with converted type UTF8 and
 * logical type STRING, a JSON column with JSON. Row groups are cut by bytes, pages at 1 MiB and at
 * records; pages are of version 1, plain or with a dictionary; column chunks carry statistics.
 * The same records give the same bytes.
 */
#ifndef LATHE_STORE_PARQUET_WRITE_H
#define LATHE_STORE_PARQUET_WRITE_H

#include "json/json.h"
#include "store/schema.h"
#include "store/sink.h"

struct parquet_writer;

struct parquet_write_options {
  int codec;                   /* 0 none, 2 gzip, 6 zstd: Parquet's numbers */
  int level;                   /* of the codec; 0: its usual one */
  uint64_t group_bytes;        /* of gathered values in a row group; 0: 64 MiB; at most 256 MiB */
  const char *const *metadata; /* key, value, key, value …; may be NULL */
  size_t metadata_count;       /* of strings */
};

/* The sink must be open and empty; it and the (settled) schema stay the caller's and must live as long. */
int parquet_writer_new(struct parquet_writer **out, struct sink *sink, const struct schema *schema,
                       const struct parquet_write_options *options, struct err *err);
/* Adds the record j. ERR_MISMATCH when a value does not fit its column (a schema that was given). */
int parquet_writer_put(struct parquet_writer *w, const struct json *j, struct err *err);
/* Writes what is gathered and the footer; the sink is then to be finished and committed. */
int parquet_writer_finish(struct parquet_writer *w, struct err *err);
void parquet_writer_free(struct parquet_writer *w);

#endif
