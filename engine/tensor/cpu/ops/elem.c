/* SPDX-License-Identifier: MIT */
/* Element by element: axpby, fill, dropout, conversion.
 *
 * Dropout draws one 64-bit number for two neighbouring columns (its halves are their uniform
 * numbers), a pure function of (seed, step, layer, site, row, column / 2): nothing is stored for
 * the backward.
 */
#include "base/rng.h"
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

static void combine(const float *x, float *y, size_t n, float alpha, float beta) {
  if (!x)
    for (size_t i = 0; i < n; i++) y[i] = beta * y[i];
  else if (beta == 0)
    for (size_t i = 0; i < n; i++) y[i] = alpha * x[i];
  else
    for (size_t i = 0; i < n; i++) y[i] = alpha * x[i] + beta * y[i];
}

static void axpby_task(void *arg, size_t index) {
  const struct axpby *op = arg;
  size_t each = rows_per_task(op->d), from = index * each, to = size_min(op->rows, from + each);
  for (size_t t = from; t < to; t++)
    combine(op->x ? op->x + t * op->ldx : NULL, op->y + t * op->ldy, op->d, op->alpha, op->beta);
}

/* One long row is cut as well. */
static void axpby_row_task(void *arg, size_t index) {
  const struct axpby *op = arg;
  size_t from = index * TASK_ELEMENTS, n = size_min(TASK_ELEMENTS, op->d - from);
  combine(op->x ? op->x + from : NULL, op->y + from, n, op->alpha, op->beta);
}

static int axpby(struct device *d, const struct axpby *op, struct err *err) {
  struct axpby job = *op;
  if (op->rows == 1) return cpu_run(d, ceil_div(op->d, TASK_ELEMENTS), axpby_row_task, &job, err);
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), axpby_task, &job, err);
}

static void fill_task(void *arg, size_t index) {
  const struct fill *op = arg;
  size_t from = index * TASK_ELEMENTS, to = size_min(op->n, from + TASK_ELEMENTS);
  if (op->value == 0 && !signbit(op->value))
    memset(op->y + from, 0, (to - from) * sizeof *op->y);
  else
    for (size_t i = from; i < to; i++) op->y[i] = op->value;
}

static int fill(struct device *d, const struct fill *op, struct err *err) {
  struct fill job = *op;
  return cpu_run(d, ceil_div(op->n, TASK_ELEMENTS), fill_task, &job, err);
}

struct dropout_job {
  struct dropout op;
  uint64_t key;
  uint32_t threshold; /* keep when the 32-bit draw is at least this */
};

/* SplitMix64's finaliser, here so that it is inlined. */
INLINE uint64_t mix(uint64_t v) {
  v = (v ^ (v >> 30)) * 0xBF58476D1CE4E5B9u;
  v = (v ^ (v >> 27)) * 0x94D049BB133111EBu;
  return v ^ (v >> 31);
}

static void drop_row(const float *x, float *y, size_t n, uint64_t key, uint32_t threshold,
                     float by) {
  for (size_t i = 0; i < n; i++) {
    uint64_t draw = mix(key + (i / 2 + 1) * 0x9E3779B97F4A7C15u);
    uint32_t mine = (uint32_t)(draw >> (i & 1) * 32);
    y[i] = mine >= threshold ? x[i] * by : 0;
  }
}

static void dropout_task(void *arg, size_t index) {
  const struct dropout_job *j = arg;
  const struct dropout *op = &j->op;
  size_t each = rows_per_task(op->d * 4), from = index * each, to = size_min(op->rows, from + each);
  for (size_t t = from; t < to; t++)
    drop_row(op->x + t * op->ldx, op->y + t * op->ldy, op->d, rng_at(j->key, op->first_row + t, 1),
             j->threshold, 1.0f / (1.0f - op->p));
}

static int dropout(struct device *d, const struct dropout *op, struct err *err) {
  if (!(op->p >= 0 && op->p < 1))
    return err_set(err, ERR_MISUSE, "dropout must be at least 0 and below 1, not %g",
                   (double)op->p);
  struct dropout_job job = {
      .op = *op,
      .key = rng_at(rng_at(op->seed, op->step, 0), op->layer, op->site),
      .threshold = (uint32_t)((double)op->p * 4294967296.0),
  };
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d * 4)), dropout_task, &job, err);
}

static void convert_task(void *arg, size_t index) {
  enum { PART = 2048 };
  const struct convert *op = arg;
  size_t at = index * TASK_ELEMENTS, end = size_min(op->n, at + TASK_ELEMENTS);
  float part[PART];
  for (; at < end; at += PART) {
    size_t n = size_min(PART, end - at);
    dtype_to_f32(op->from_type, (const char *)op->from + dtype_bytes(op->from_type, at), part, n);
    dtype_from_f32(op->to_type, part, (char *)op->to + dtype_bytes(op->to_type, at), n);
  }
}

static int convert(struct device *d, const struct convert *op, struct err *err) {
  struct convert job = *op;
  int rc = cpu_float_type(op->from_type, "a conversion", err);
  if (!rc && op->n % dtype_info(op->from_type)->block)
    rc = err_set(err, ERR_MISUSE, "a conversion must take whole blocks");
  if (!rc && op->to_type != DTYPE_F32 && op->to_type != DTYPE_BF16 && op->to_type != DTYPE_F16)
    rc = err_set(err, ERR_UNSUPPORTED, "cannot convert to %s", dtype_info(op->to_type)->name);
  return rc ? rc : cpu_run(d, ceil_div(op->n, TASK_ELEMENTS), convert_task, &job, err);
}

void CPU_OPS(elem)(struct device *d) {
  d->axpby = axpby;
  d->fill = fill;
  d->dropout = dropout;
  d->convert = convert;
}
