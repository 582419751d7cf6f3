/* SPDX-License-Identifier: MIT */
/* A tensor: a counted view of storage.
 *
 *   struct tensor { data ─────────────┐  dtype  rank  shape[4] }
 *   struct storage (counted) ► [ ... [ the view's elements, row-major, contiguous ] ... ]
 *
 * Views share storage and keep it alive; the last tensor_clear frees it. A view is always
 * contiguous: a slice takes a range of the first dimension only, so every kernel sees plain rows.
 * Storage is counted with atomics, so that views may be cleared on any thread; a struct tensor
 * itself belongs to whoever embeds it. Shape entries beyond rank are 1. Rank 0 is one element.
 * Limits: 4 dimensions, SIZE_MAX/2 bytes.
 */
#ifndef LATHE_TENSOR_TENSOR_H
#define LATHE_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/dtype.h"

#define TENSOR_RANK 4

struct storage;

struct tensor {
  struct storage *storage; /* NULL: empty (cleared) */
  void *data;              /* first element of the view, in host memory */
  enum dtype dtype;
  int rank;
  size_t shape[TENSOR_RANK]; /* slowest first */
};

/* New storage, zeroed, 64-byte aligned. The last dimension must be a multiple of the type's block.
 * Fails with ERR_NOMEM, ERR_LIMIT (product overflows), ERR_MISUSE (rank, block). On failure *t is
 * empty. */
int tensor_init(struct tensor *t, enum dtype dtype, int rank, const size_t *shape, struct err *err);

/* A view of memory that someone else owns (a mapped file). `release(owner)` is called once, when
 * the last view goes; it may be NULL. `data` must hold the whole tensor. On failure release has
 * not been called. */
int tensor_wrap(struct tensor *t, enum dtype dtype, int rank, const size_t *shape, void *data,
                void (*release)(void *owner), void *owner, struct err *err);

/* Gives up the view; accepts an empty one; leaves *t empty. */
void tensor_clear(struct tensor *t);

/* *out becomes another view of the same elements. */
void tensor_share(struct tensor *out, const struct tensor *t);

/* Rows [from, to) of the first dimension: same rank. ERR_MISUSE when outside or rank is 0. `out`
 * may not be `t`. */
int tensor_slice(struct tensor *out, const struct tensor *t, size_t from, size_t to,
                 struct err *err);
/* Row i of the first dimension: one dimension less. For block types rank must be at least 2. */
int tensor_row(struct tensor *out, const struct tensor *t, size_t i, struct err *err);
/* Same elements, other shape; the counts must agree. */
int tensor_reshape(struct tensor *out, const struct tensor *t, int rank, const size_t *shape,
                   struct err *err);

size_t tensor_count(const struct tensor *t);   /* elements */
size_t tensor_bytes(const struct tensor *t);   /* of the view */
size_t tensor_outside(const struct tensor *t); /* of the whole storage, 0 when wrapped */
size_t tensor_rows(const struct tensor *t);    /* product of all but the last dimension */
size_t tensor_cols(const struct tensor *t);    /* the last dimension; 1 for rank 0 */

/* A copy with another dtype (both float types, target with a plain encoder), new storage. */
int tensor_convert(struct tensor *out, const struct tensor *t, enum dtype dtype, struct err *err);

/* Element i in row-major order, as a number; block types are decoded. i < tensor_count. Integers
 * beyond 2^53 lose digits: tensor_get_integer keeps them (integer types only). */
double tensor_get(const struct tensor *t, size_t i);
int64_t tensor_get_integer(const struct tensor *t, size_t i);
/* Stores v, rounded to the type; ERR_UNSUPPORTED for block types, ERR_MISUSE when an integer type
 * cannot hold it. */
int tensor_set(struct tensor *t, size_t i, double v, struct err *err);
int tensor_set_integer(struct tensor *t, size_t i, int64_t v, struct err *err);

/* "f32[2, 3]" into text; returns text. */
char *tensor_describe(const struct tensor *t, char text[96]);

#endif
