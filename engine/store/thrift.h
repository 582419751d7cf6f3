/* SPDX-License-Identifier: MIT */
/* Thrift's compact protocol, the form of Parquet's footer and page headers.
 *
 *   struct   field … field 00
 *   field    [delta of the id: 4 bits][type: 4 bits]        or 0t and the id as a zigzag varint
 *   numbers  zigzag varints; bool is its type; bytes are a length and the bytes
 *   list     [count: 4 bits][type: 4 bits]                  or Ft and the count as a varint
 *
 * Reading goes through the bounded reader and is sticky like it: after the first bad read every
 * field loop ends and every number is 0, so that a parser checks once. Writing appends to a buffer.
 */
#ifndef LATHE_STORE_THRIFT_H
#define LATHE_STORE_THRIFT_H

#include "base/buf.h"
#include "base/reader.h"

enum thrift_type {
  THRIFT_STOP,
  THRIFT_TRUE,
  THRIFT_FALSE,
  THRIFT_BYTE,
  THRIFT_I16,
  THRIFT_I32,
  THRIFT_I64,
  THRIFT_DOUBLE,
  THRIFT_BYTES,
  THRIFT_LIST,
  THRIFT_SET,
  THRIFT_MAP,
  THRIFT_STRUCT
};

/* A field of the struct being read; begin with all zero. */
struct thrift_field {
  int id, type;
};
/* The next field, or false at the struct's end (and once the reader is bad). */
bool thrift_next(struct reader *r, struct thrift_field *f);

/* The value of field f: 0, false or NULL (and the reader bad) when it is of another type. */
int64_t thrift_int(struct reader *r, const struct thrift_field *f);
bool thrift_bool(struct reader *r, const struct thrift_field *f);
const char *thrift_bytes(struct reader *r, const struct thrift_field *f, size_t *n);
/* Whether f is a struct, whose fields then follow; makes the reader bad when not. */
bool thrift_is_struct(struct reader *r, const struct thrift_field *f);
/* How many elements a list has; *element is a field of their type. No more than there are bytes. */
size_t thrift_list(struct reader *r, const struct thrift_field *f, struct thrift_field *element);
/* Passes over the value, at most 64 levels deep. */
void thrift_skip(struct reader *r, const struct thrift_field *f);
uint64_t thrift_varint(struct reader *r);
int64_t thrift_zigzag(struct reader *r);

/* ---- writing ---- `last` is the id of the field before in the same struct; begin with 0. */
void thrift_put_int(struct buf *b, int *last, int id, enum thrift_type type, int64_t v);
void thrift_put_bytes(struct buf *b, int *last, int id, const void *bytes, size_t n);
void thrift_put_list(struct buf *b, int *last, int id, enum thrift_type type, size_t count);
void thrift_put_struct(struct buf *b, int *last, int id); /* its fields, then thrift_put_stop */
void thrift_put_stop(struct buf *b);
/* Elements of lists. */
void thrift_put_varint(struct buf *b, uint64_t v);
void thrift_put_zigzag(struct buf *b, int64_t v);
void thrift_put_text(struct buf *b, const void *bytes, size_t n);

#endif
