/* SPDX-License-Identifier: MIT */
/* SwiGLU (Shazeer, 2020): y = silu(g)·u with silu(g) = g·σ(g), forward and backward.
 *
 *   du = dy·g·σ          dg = dy·u·σ·(1 + g·(1 − σ))
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

INLINE v16 load_up_to(const float *p, size_t n) {
  return n >= LANES ? v_load(p) : v_load_part(p, n, 0);
}
INLINE void store_up_to(float *p, v16 v, size_t n) {
  memcpy(p, &v, size_min(n, LANES) * sizeof *p);
}

KERNEL static void forward(const struct swiglu *op, size_t from, size_t to) {
  for (size_t t = from; t < to; t++) {
    const float *gate = op->gate + t * op->ld_gate, *up = op->up + t * op->ld_up;
    float *y = op->y + t * op->ld_y;
    for (size_t i = 0; i < op->d; i += LANES) {
      v16 g = load_up_to(gate + i, op->d - i), u = load_up_to(up + i, op->d - i);
      store_up_to(y + i, g * v_sigmoid(g) * u, op->d - i);
    }
  }
}

KERNEL static void backward(const struct swiglu_bwd *op, size_t from, size_t to) {
  for (size_t t = from; t < to; t++) {
    const float *gate = op->gate + t * op->ld_gate, *up = op->up + t * op->ld_up;
    const float *dy = op->dy + t * op->ld_dy;
    float *dgate = op->dgate + t * op->ld_dgate, *dup = op->dup + t * op->ld_dup;
    for (size_t i = 0; i < op->d; i += LANES) {
      size_t n = op->d - i;
      v16 g = load_up_to(gate + i, n), u = load_up_to(up + i, n), dv = load_up_to(dy + i, n);
      v16 s = v_sigmoid(g);
      store_up_to(dgate + i, dv * u * s * (v_all(1) + g * (v_all(1) - s)), n);
      store_up_to(dup + i, dv * g * s, n);
    }
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

void cpu_glu_ops(struct device *d) {
  d->swiglu = swiglu;
  d->swiglu_bwd = swiglu_bwd;
}
