/* SPDX-License-Identifier: MIT */
/* SwiGLU (Shazeer, 2020): y = silu(g)·u with silu(g) = g·σ(g), forward and backward.
 *
 *   du = dy·g·σ          dg = dy·u·σ·(1 + g·(1 − σ))
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

INLINE vec silu(vec g) {
  return g * v_sigmoid(g);
}
INLINE vec silu_slope(vec g) {
  vec s = v_sigmoid(g);
  return s * (v_all(1) + g * (v_all(1) - s));
}

static void forward(const struct swiglu *op, size_t from, size_t to) {
  for (size_t t = from; t < to; t++) {
    const float *gate = op->gate + t * op->ld_gate, *up = op->up + t * op->ld_up;
    float *y = op->y + t * op->ld_y;
    size_t i = 0, d = op->d;
    for (; i + LANES <= d; i += LANES) v_store(y + i, silu(v_load(gate + i)) * v_load(up + i));
    if (i == d) continue;
    vec v = silu(v_load_part(gate + i, d - i, 0)) * v_load_part(up + i, d - i, 0);
    memcpy(y + i, &v, (d - i) * sizeof *y);
  }
}

static void backward(const struct swiglu_bwd *op, size_t from, size_t to) {
  for (size_t t = from; t < to; t++) {
    const float *gate = op->gate + t * op->ld_gate, *up = op->up + t * op->ld_up;
    const float *dy = op->dy + t * op->ld_dy;
    float *dgate = op->dgate + t * op->ld_dgate, *dup = op->dup + t * op->ld_dup;
    size_t i = 0, d = op->d;
    for (; i + LANES <= d; i += LANES) {
      vec g = v_load(gate + i), u = v_load(up + i), v = v_load(dy + i);
      v_store(dgate + i, v * u * silu_slope(g));
      v_store(dup + i, v * silu(g));
    }
    if (i == d) continue;
    vec g = v_load_part(gate + i, d - i, 0), u = v_load_part(up + i, d - i, 0);
    vec v = v_load_part(dy + i, d - i, 0), dg = v * u * silu_slope(g), du = v * silu(g);
    memcpy(dgate + i, &dg, (d - i) * sizeof *dgate);
    memcpy(dup + i, &du, (d - i) * sizeof *dup);
  }
}

static void forward_task(void *arg, size_t index) {
  const struct swiglu *op = arg;
  size_t each = rows_per_task(op->d), from = index * each;
  forward(op, from, size_min(op->rows, from + each));
}
static void backward_task(void *arg, size_t index) {
  const struct swiglu_bwd *op = arg;
  size_t each = rows_per_task(op->d), from = index * each;
  backward(op, from, size_min(op->rows, from + each));
}

static int swiglu(struct device *d, const struct swiglu *op, struct err *err) {
  struct swiglu job = *op;
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), forward_task, &job, err);
}
static int swiglu_bwd(struct device *d, const struct swiglu_bwd *op, struct err *err) {
  struct swiglu_bwd job = *op;
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->d)), backward_task, &job, err);
}

void CPU_OPS(glu)(struct device *d) {
  d->swiglu = swiglu;
  d->swiglu_bwd = swiglu_bwd;
}
