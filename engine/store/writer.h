/* SPDX-License-Identifier: MIT */
/* Data sets written as files: JSONL, a JSON array, CSV, plain text, Parquet. One writer makes one
 * target, which is one file, or with `shard` files of about that size:
 *
 *   out/train.jsonl    →   out/train-00000-of-00003.jsonl …
 *
 * writer_put takes records one by one; writer_finish completes the files under temporary names, when
 * their hashes and numbers are known; writer_commit makes them appear. Closed without commit nothing
 * has happened. The same records give the same bytes.
 */
#ifndef LATHE_STORE_WRITER_H
#define LATHE_STORE_WRITER_H

#include "json/json.h"
#include "store/schema.h"
#include "store/sink.h"

enum writer_format { WRITER_JSONL, WRITER_JSON, WRITER_CSV, WRITER_TEXT, WRITER_PARQUET };

struct writer_options {
  enum writer_format format;
  enum sink_codec codec; /* of the whole file; Parquet has its own */
  int level;
  uint64_t shard;    /* bytes of a file; 0: one file */
  char delimiter;    /* CSV: ',' or '\t' */
  bool no_header;    /* CSV */
  bool formula_safe; /* CSV: a cell that a spreadsheet would run gets a ' before it */
  const char *field; /* text: what is written … */
  size_t field_n;
  const char *separator; /* … and what stands behind each */
  size_t separator_n;
  int parquet_codec;           /* 0 none, 2 gzip, 6 zstd */
  uint64_t group_bytes;        /* Parquet: of a row group */
  bool no_sync;                /* skips fsync: for files that are made again when they are lost */
  const struct schema *schema; /* CSV and Parquet: settled before the first writer_put */
};

struct writer;
struct writer_file {
  const char *path;
  uint64_t bytes, records;
  const unsigned char *sha256;
};

int writer_open(struct writer **out, const char *path, const struct writer_options *options,
                struct err *err);
/* Says that so many writers work at once: each gathers that much less (Parquet). Before the first put. */
void writer_divide(struct writer *w, size_t writers);
/* j is the tape of the record text[0, n). */
int writer_put(struct writer *w, const struct json *j, const char *text, size_t n, struct err *err);
int writer_finish(struct writer *w, struct err *err); /* an empty target is an empty file */
size_t writer_files(const struct writer *w);
struct writer_file writer_file(const struct writer *w, size_t i); /* after writer_finish */
int writer_commit(struct writer *w, struct err *err);
void writer_close(struct writer *w);

/* "name.jsonl.gz", 2, 5 → "name-00002-of-00005.jsonl.gz"; appended to out. */
void writer_shard_name(const char *path, size_t i, size_t count, struct buf *out);

#endif
