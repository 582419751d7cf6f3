/* SPDX-License-Identifier: MIT */
/* Embedding rows and biases, forward and backward.
 *
 * The embedding's backward adds rows that may repeat: each task owns a range of the vocabulary and
 * walks all ids in order, so that the sum of every row has one order.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

#define VOCAB_RANGES 16

static int check_ids(const int32_t *ids, size_t n, size_t vocab, struct err *err) {
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= vocab)
      return err_set(err, ERR_MISUSE,
                     "token %d at position %zu is outside of the vocabulary of %zu", (int)ids[i], i,
                     vocab);
  return 0;
}

static void gather_task(void *arg, size_t index) {
  const struct embed *op = arg;
  size_t each = rows_per_task(op->d), from = index * each, to = size_min(op->rows, from + each);
  size_t row_bytes = dtype_bytes(op->table_type, op->d);
  for (size_t t = from; t < to; t++)
    dtype_to_f32(op->table_type, (const char *)op->table + (size_t)op->ids[t] * row_bytes,
                 op->y + t * op->d, op->d);
}

static int embed(struct device *d, const struct embed *op, struct err *err) {
  struct embed job = *op;
  int rc = cpu_float_type(op->table_type, "an embedding", err);
  if (!rc) rc = check_ids(op->ids, op->rows, op->vocab, err);
  return rc ? rc : cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), gather_task, &job, err);
}

static void add_rows(const struct embed_bwd *op, size_t low, size_t high) {
  for (size_t t = 0; t < op->rows; t++) {
    size_t id = (size_t)op->ids[t];
    if (id < low || id >= high) continue;
    float *to = op->dtable + id * op->d;
    const float *dy = op->dy + t * op->d;
    for (size_t i = 0; i < op->d; i++) to[i] += dy[i];
  }
}

static void scatter_task(void *arg, size_t index) {
  const struct embed_bwd *op = arg;
  add_rows(op, op->vocab * index / VOCAB_RANGES, op->vocab * (index + 1) / VOCAB_RANGES);
}

static int embed_bwd(struct device *d, const struct embed_bwd *op, struct err *err) {
  struct embed_bwd job = *op;
  int rc = check_ids(op->ids, op->rows, op->vocab, err);
  return rc || !op->rows ? rc : cpu_run(d, VOCAB_RANGES, scatter_task, &job, err);
}

static void add_bias(const struct bias *op, size_t from, size_t to) {
  for (size_t t = from; t < to; t++) {
    float *restrict y = op->y + t * op->ld;
    const float *restrict b = op->b;
    for (size_t i = 0; i < op->d; i++) y[i] += b[i];
  }
}

static void bias_task(void *arg, size_t index) {
  const struct bias *op = arg;
  size_t each = rows_per_task(op->d), from = index * each;
  add_bias(op, from, size_min(op->rows, from + each));
}

static int bias(struct device *d, const struct bias *op, struct err *err) {
  struct bias job = *op;
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), bias_task, &job, err);
}

struct bias_job {
  struct bias_bwd op;
  float *partial;
  size_t each;
};

static void sum_columns(const struct bias_bwd *op, float *restrict sum, size_t from, size_t to) {
  memset(sum, 0, op->d * sizeof *sum);
  for (size_t t = from; t < to; t++) {
    const float *restrict dy = op->dy + t * op->ld;
    for (size_t i = 0; i < op->d; i++) sum[i] += dy[i];
  }
}

static void bias_bwd_task(void *arg, size_t index) {
  const struct bias_job *j = arg;
  size_t from = index * j->each;
  sum_columns(&j->op, j->partial + index * j->op.d, from, size_min(j->op.rows, from + j->each));
}

static size_t bias_bwd_work(const struct device *d, const struct bias_bwd *op) {
  (void)d;
  return ceil_div(op->rows, partial_rows(op->rows)) * op->d * sizeof(float);
}

static int bias_bwd(struct device *d, const struct bias_bwd *op, const struct work *w,
                    struct err *err) {
  int rc = cpu_work(w, bias_bwd_work(d, op), "bias backward", err);
  if (rc || !op->rows || !op->d) return rc;
  struct bias_job job = {*op, w->data, partial_rows(op->rows)};
  size_t parts = ceil_div(op->rows, job.each);
  rc = cpu_run(d, parts, bias_bwd_task, &job, err);
  return rc ? rc : cpu_add_partials(d, job.partial, parts, op->d, op->db, err);
}

void CPU_OPS(embed)(struct device *d) {
  d->embed = embed;
  d->embed_bwd = embed_bwd;
  d->bias = bias;
  d->bias_bwd_work = bias_bwd_work;
  d->bias_bwd = bias_bwd;
}
