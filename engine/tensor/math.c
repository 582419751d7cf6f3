/* SPDX-License-Identifier: MIT */
/* Whole-tensor operations; see math.h. The left operand is converted to f32 when it is not; the
 * right one is decoded by the product itself. */
#include "tensor/math.h"

#include <string.h>

/* *out is an f32 view or copy of t. */
static int as_f32(struct tensor *out, const struct tensor *t, struct err *err) {
  if (t->dtype != DTYPE_F32) return tensor_convert(out, t, DTYPE_F32, err);
  tensor_share(out, t);
  return 0;
}

static int need_matrix(const struct tensor *t, int least, const char *name, struct err *err) {
  char text[96];
  if (t->rank >= least && t->rank <= 2) return 0;
  return err_set(err, ERR_MISUSE, "%s must be a matrix, not %s", name, tensor_describe(t, text));
}

/* c (+)= alpha·op(a)·op(b), a and c f32. */
static int multiply(struct device *d, struct tensor *c, const struct tensor *a, bool ta,
                    const struct tensor *b, bool tb, float alpha, float beta, struct err *err) {
  struct matmul op = {.m = tensor_rows(c),
                      .n = tensor_cols(c),
                      .k = ta ? tensor_rows(a) : tensor_cols(a),
                      .alpha = alpha,
                      .beta = beta,
                      .trans_a = ta,
                      .trans_b = tb,
                      .b_type = b->dtype,
                      .a = a->data,
                      .lda = tensor_cols(a),
                      .b = b->data,
                      .ldb = tensor_cols(b),
                      .c = c->data,
                      .ldc = tensor_cols(c)};
  struct work work = {.bytes = d->matmul_work(d, &op)};
  if (work.bytes && !(work.data = d->alloc(d, work.bytes)))
    return err_nomem(err, work.bytes, "a matrix product");
  int rc = d->matmul(d, &op, &work, err);
  d->free(d, work.data, work.bytes);
  return rc;
}

static int misfit(const struct tensor *a, const struct tensor *b, const char *what,
                  struct err *err) {
  char left[96], right[96];
  return err_set(err, ERR_MISUSE, "%s: the shapes do not fit: %s and %s", what,
                 tensor_describe(a, left), tensor_describe(b, right));
}

int tensor_matmul(struct device *d, struct tensor *out, const struct tensor *a, bool transpose_a,
                  const struct tensor *b, bool transpose_b, struct err *err) {
  struct tensor left = {0}, result = {0};
  int rc = need_matrix(a, 1, "the left factor", err);
  if (!rc) rc = need_matrix(b, 2, "the right factor", err);
  if (rc) return rc;
  size_t m = transpose_a ? tensor_cols(a) : tensor_rows(a);
  size_t k = transpose_a ? tensor_rows(a) : tensor_cols(a);
  size_t n = transpose_b ? b->shape[0] : b->shape[1], shape[] = {m, n};
  if ((transpose_b ? b->shape[1] : b->shape[0]) != k) return misfit(a, b, "matmul", err);
  rc = as_f32(&left, a, err);
  if (!rc) rc = tensor_init(&result, DTYPE_F32, 2, shape, err);
  if (!rc) rc = multiply(d, &result, &left, transpose_a, b, transpose_b, 1, 0, err);
  tensor_clear(&left);
  if (rc) tensor_clear(&result);
  *out = result;
  return rc;
}

int tensor_add(struct device *d, struct tensor *out, const struct tensor *a, const struct tensor *b,
               double alpha, struct err *err) {
  memset(out, 0, sizeof *out);
  if (a->rank != b->rank || memcmp(a->shape, b->shape, sizeof a->shape))
    return misfit(a, b, "add", err);
  struct tensor right = {0}, sum = {0};
  int rc = as_f32(&right, b, err);
  if (!rc) rc = tensor_convert(&sum, a, DTYPE_F32, err);
  size_t n = rc ? 0 : tensor_count(a);
  struct axpby op = {.rows = 1,
                     .d = n,
                     .x = right.data,
                     .ldx = n,
                     .y = sum.data,
                     .ldy = n,
                     .alpha = (float)alpha,
                     .beta = 1};
  if (!rc) rc = d->axpby(d, &op, err);
  tensor_clear(&right);
  if (rc) tensor_clear(&sum);
  *out = sum;
  return rc;
}

int tensor_lora(struct device *d, struct tensor *out, const struct tensor *x,
                const struct tensor *w, const struct tensor *a, const struct tensor *b,
                double scale, struct err *err) {
  struct tensor low = {0}, result = {0};
  memset(out, 0, sizeof *out);
  int rc = need_matrix(a, 2, "A", err);
  if (!rc) rc = need_matrix(b, 2, "B", err);
  if (rc) return rc;
  if (tensor_cols(b) != tensor_rows(a)) return misfit(a, b, "lora: A and B", err);
  if (tensor_rows(b) != tensor_rows(w)) return misfit(w, b, "lora: W and B", err);
  rc = tensor_matmul(d, &result, x, false, w, true, err);
  if (!rc) rc = tensor_matmul(d, &low, x, false, a, true, err);
  if (!rc) rc = multiply(d, &result, &low, false, b, true, (float)scale, 1, err);
  tensor_clear(&low);
  if (rc) tensor_clear(&result);
  *out = result;
  return rc;
}
