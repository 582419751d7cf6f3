/* SPDX-License-Identifier: MIT */
/* CSV and TSV, read into JSON records.
 *
 *   name,text                     →   {"name":"a","text":"says \"hi\",\nthen goes"}
 *   a,"says ""hi"",                   (one record of two lines, 2 and 3)
 *   then goes"
 *
 * RFC 4180, and what is found in the world besides: any of , ; tab | between fields (told by the
 * contents, or named by a first line `sep=;`), LF, CRLF or CR behind rows, any encoding that
 * text/encoding knows, a byte order mark, gzip and zstd. The first row names the fields. Blank lines
 * are passed over. A row with another number of fields than the header is reported with its line.
 *
 * The file is read as a stream: a record is in memory (at most max_record bytes), never more.
 */
#ifndef LATHE_STORE_CSV_H
#define LATHE_STORE_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct csv;

struct csv_options {
  char delimiter; /* 0: told by the contents */
  bool no_header; /* fields are column_1, column_2 … */
  bool typed; /* numbers, true and false become values, an empty field null; else all are strings */
  bool pad;   /* a row that is too short gets nulls (one too long is still reported) */
  size_t max_record;    /* bytes of a record; 0: 64 MiB */
  const char *encoding; /* NULL: detected */
};

struct csv_record {
  const char *text; /* JSON, valid until the next call; NULL for a row that was refused, and then */
  const char *reason; /* says why: "3 fields, the header has 4" */
  size_t n;
  uint64_t line; /* of its first byte, from 1 */
};

/* options may be NULL. ERR_FORMAT when it is not text, or empty of rows; ERR_UNSUPPORTED for an
 * unknown encoding. */
int csv_open(struct csv **out, const char *path, const struct csv_options *options,
             struct err *err);
void csv_close(struct csv *c);
/* 1 and *record, 0 at the end, −1 with err filled. */
int csv_next(struct csv *c, struct csv_record *record, struct err *err);

char csv_delimiter(const struct csv *c);
const char *csv_encoding(const struct csv *c);
size_t csv_columns(const struct csv *c);
const char *csv_column(const struct csv *c, size_t i, size_t *n); /* the name as a JSON string */
uint64_t csv_replaced(const struct csv *c);                       /* U+FFFD put in so far */

#endif
