/* SPDX-License-Identifier: MIT */
/* RMSNorm (Zhang and Sennrich, 2019), forward and backward.
 *
 *   r = 1/√(mean(x²)+eps)      y = x·r·w
 *   dx = r·(w·dy) − x·r³/d · Σ(x·w·dy)        dw = Σ_rows dy·x·r
 *
 * dw is summed in blocks of rows (partial_rows) into the workspace, then the blocks are added in
 * order.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

static void forward(const struct rmsnorm *op, size_t from, size_t to) {
  size_t d = op->d;
  for (size_t t = from; t < to; t++) {
    const float *x = op->x + t * d;
    float *y = op->y + t * d;
    float r = 1.0f / sqrtf(k_dot(x, x, d) / (float)d + op->eps);
    for (size_t i = 0; i < d; i++) y[i] = x[i] * r * op->w[i];
    if (op->rstd) op->rstd[t] = r;
  }
}

static void forward_task(void *arg, size_t index) {
  const struct rmsnorm *op = arg;
  size_t each = rows_per_task(op->d), from = index * each;
  forward(op, from, size_min(op->rows, from + each));
}

static int rmsnorm(struct device *d, const struct rmsnorm *op, struct err *err) {
  struct rmsnorm job = *op;
  if (!op->d) return 0;
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), forward_task, &job, err);
}

/* Σ x·w·dy */
INLINE float dot3(const float *x, const float *w, const float *dy, size_t n) {
  vec s = v_all(0);
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) s += v_load(x + i) * v_load(w + i) * v_load(dy + i);
  if (i < n)
    s +=
        v_load_part(x + i, n - i, 0) * v_load_part(w + i, n - i, 0) * v_load_part(dy + i, n - i, 0);
  return v_sum(s);
}

static void backward(const struct rmsnorm_bwd *op, float *dw, size_t from, size_t to) {
  size_t d = op->d;
  for (size_t t = from; t < to; t++) {
    const float *x = op->x + t * d, *dy = op->dy + t * d, *w = op->w;
    float *dx = op->dx + t * d;
    float r = op->rstd[t], c = dot3(x, w, dy, d) / (float)d * r * r;
    if (dw)
      for (size_t i = 0; i < d; i++) dw[i] += dy[i] * x[i] * r;
    if (op->add_dx)
      for (size_t i = 0; i < d; i++) dx[i] += r * (w[i] * dy[i] - x[i] * c);
    else
      for (size_t i = 0; i < d; i++) dx[i] = r * (w[i] * dy[i] - x[i] * c);
  }
}

struct backward_job {
  struct rmsnorm_bwd op;
  float *partial;
  size_t each;
};

static void backward_task(void *arg, size_t index) {
  const struct backward_job *j = arg;
  size_t from = index * j->each;
  float *dw = j->op.dw ? j->partial + index * j->op.d : NULL;
  if (dw) memset(dw, 0, j->op.d * sizeof *dw);
  backward(&j->op, dw, from, size_min(j->op.rows, from + j->each));
}

static size_t rmsnorm_bwd_work(const struct device *d, const struct rmsnorm_bwd *op) {
  (void)d;
  return op->dw ? ceil_div(op->rows, partial_rows(op->rows)) * op->d * sizeof(float) : 0;
}

static int rmsnorm_bwd(struct device *d, const struct rmsnorm_bwd *op, const struct work *w,
                       struct err *err) {
  int rc = cpu_work(w, rmsnorm_bwd_work(d, op), "rmsnorm backward", err);
  if (rc || !op->rows || !op->d) return rc;
  struct backward_job job = {*op, op->dw ? w->data : NULL, partial_rows(op->rows)};
  size_t parts = ceil_div(op->rows, job.each);
  rc = cpu_run(d, parts, backward_task, &job, err);
  return rc || !op->dw ? rc : cpu_add_partials(d, job.partial, parts, op->d, op->dw, err);
}

void CPU_OPS(norm)(struct device *d) {
  d->rmsnorm = rmsnorm;
  d->rmsnorm_bwd_work = rmsnorm_bwd_work;
  d->rmsnorm_bwd = rmsnorm_bwd;
}
