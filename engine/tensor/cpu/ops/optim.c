/* SPDX-License-Identifier: MIT */
/* AdamW, and reductions over long vectors: blocks of TASK_ELEMENTS, each block's result in the
 * workspace, added in order in double. */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

struct adamw_job {
  struct adamw op;
  float keep, rate, v_by; /* 1 − lr·decay, lr/(1 − β1^step), 1/(1 − β2^step) */
};

static void update(const struct adamw_job *j, size_t from, size_t to) {
  const struct adamw *op = &j->op;
  float *restrict p = op->p, *restrict m = op->m, *restrict v = op->v;
  const float *restrict grad = op->g;
  float b1 = op->beta1, b2 = op->beta2, scale = op->grad_scale, eps = op->eps;
  float keep = j->keep, rate = j->rate, v_by = j->v_by;
  for (size_t i = from; i < to; i++) {
    float g = grad[i] * scale;
    m[i] = b1 * m[i] + (1 - b1) * g;
    v[i] = b2 * v[i] + (1 - b2) * g * g;
    p[i] = p[i] * keep - rate * m[i] / (sqrtf(v[i] * v_by) + eps);
  }
}

static void update_task(void *arg, size_t index) {
  const struct adamw_job *j = arg;
  update(j, index * TASK_ELEMENTS, size_min(j->op.n, (index + 1) * TASK_ELEMENTS));
}

static int adamw(struct device *d, const struct adamw *op, struct err *err) {
  if (!op->step) return err_set(err, ERR_MISUSE, "AdamW counts steps from 1");
  double step = (double)op->step;
  struct adamw_job job = {
      .op = *op,
      .keep = (float)(1.0 - (double)op->lr * (double)op->decay),
      .rate = (float)((double)op->lr / (1.0 - pow((double)op->beta1, step))),
      .v_by = (float)(1.0 / (1.0 - pow((double)op->beta2, step))),
  };
  return cpu_run(d, ceil_div(op->n, TASK_ELEMENTS), update_task, &job, err);
}

struct reduce_job {
  struct reduce op;
  double *partial;
};

#define RUN 1024 /* elements summed in fp32 lanes before they go into the double */

static double block_sum(const float *x, size_t n, bool squares) {
  double total = 0;
  for (size_t at = 0; at < n; at += RUN) {
    size_t end = size_min(n, at + RUN), i = at;
    vec s = v_all(0);
    for (; i + LANES <= end; i += LANES) {
      vec v = v_load(x + i);
      s += squares ? v * v : v;
    }
    if (i < end) {
      vec v = v_load_part(x + i, end - i, 0);
      s += squares ? v * v : v;
    }
    total += (double)v_sum(s);
  }
  return total;
}

static double block_max(const float *x, size_t n) {
  float top = 0;
  for (size_t i = 0; i < n; i++) {
    float a = fabsf(x[i]);
    if (!(a <= top)) top = a; /* takes a NaN too … */
    if (isnan(top)) break;    /* … and keeps it */
  }
  return (double)top;
}

static void reduce_task(void *arg, size_t index) {
  const struct reduce_job *j = arg;
  const float *x = j->op.x + index * TASK_ELEMENTS;
  size_t n = size_min(TASK_ELEMENTS, j->op.n - index * TASK_ELEMENTS);
  j->partial[index] = j->op.kind == REDUCE_MAX_ABS
                          ? block_max(x, n)
                          : block_sum(x, n, j->op.kind == REDUCE_SUM_SQUARES);
}

static size_t reduce_work(const struct device *d, const struct reduce *op) {
  (void)d;
  return ceil_div(op->n, TASK_ELEMENTS) * sizeof(double);
}

static int reduce(struct device *d, struct reduce *op, const struct work *w, struct err *err) {
  op->result = 0;
  int rc = cpu_work(w, reduce_work(d, op), "a reduction", err);
  if (rc || !op->n) return rc;
  struct reduce_job job = {*op, w->data};
  size_t blocks = ceil_div(op->n, TASK_ELEMENTS);
  if ((rc = cpu_run(d, blocks, reduce_task, &job, err))) return rc;
  for (size_t b = 0; b < blocks; b++) {
    double v = job.partial[b];
    if (op->kind != REDUCE_MAX_ABS)
      op->result += v;
    else if (!(v <= op->result) && !isnan(op->result))
      op->result = v;
  }
  return 0;
}

void CPU_OPS(optim)(struct device *d) {
  d->adamw = adamw;
  d->reduce_work = reduce_work;
  d->reduce = reduce;
}
