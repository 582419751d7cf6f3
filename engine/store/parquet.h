/* SPDX-License-Identifier: MIT */
/* Parquet files, read into JSON records and written from them.
 *
 *   PAR1 [row group: column chunks, each of pages] … [footer][its length: 4 bytes] PAR1
 *
 * Reading. parquet_open reads the footer; parquet_next gives one record after the other as one line
 * of JSON. A page of each column is in memory, never more, so a file of any size is read in bounded
 * memory. The file is untrusted: every size is checked, a page has at most 256 MiB unpacked, nesting
 * 100 levels, and all records together at most 1,024 times the file's bytes (never less than 1 GiB).
 *
 *   struct parquet *p;
 *   if (parquet_open(&p, path, NULL, err)) …
 *   while ((rc = parquet_next(p, &line, err)) > 0) use(line.text, line.n);
 *   parquet_close(p);
 */
#ifndef LATHE_STORE_PARQUET_H
#define LATHE_STORE_PARQUET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct parquet;

struct parquet_options {
  const char *const *columns; /* names, or paths "a.b"; NULL: all */
  size_t column_count;
  size_t max_record;   /* bytes of a record's JSON; 0: 64 MiB */
  bool binary_is_text; /* byte arrays without annotation are text (old writers), not base64 */
  bool drop_nulls;     /* members that are null are left out */
};

struct parquet_line {
  const char *text; /* valid until the next call; NULL when it is longer than max_record */
  size_t n;
  uint64_t number; /* of the row, from 1 */
};

/* path is a regular file (also /proc/self/fd/N). options may be NULL. ERR_FORMAT (not a Parquet file,
 * damaged), ERR_UNSUPPORTED (encrypted …), ERR_LIMIT, ERR_NOTFOUND, ERR_MISUSE (no such column). */
int parquet_open(struct parquet **out, const char *path, const struct parquet_options *options,
                 struct err *err);
void parquet_close(struct parquet *p);

uint64_t parquet_rows(const struct parquet *p);
/* Appends the schema as JSON: [{"name", "type", "nullable", "columns": […]}, …]. */
void parquet_schema(const struct parquet *p, struct buf *out);
/* Appends {"rows", "row_groups", "columns", "bytes", "created_by", "metadata": {…}, "not_finite",
 * "bad_utf8", "bad_json"}; the last three count what was met so far. */
void parquet_facts(const struct parquet *p, struct buf *out);

/* 1 and *line, 0 at the end, −1 with err filled: then the file cannot be read on. */
int parquet_next(struct parquet *p, struct parquet_line *line, struct err *err);
void parquet_rewind(struct parquet *p); /* back to the first row */

#endif
