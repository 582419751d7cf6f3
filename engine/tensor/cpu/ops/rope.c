/* SPDX-License-Identifier: MIT */
/* Rotary position embedding (Su et al., 2021) in the half-split layout:
 *
 *   y[i]      = x[i]·cos a_i − x[i+h]·sin a_i        a_i = position · inv_freq[i], h = dim/2
 *   y[i + h]  = x[i+h]·cos a_i + x[i]·sin a_i
 *
 * A rotation's backward is the rotation by −a. Angles are products in fp32 and their functions the
 * C library's, as in the reference implementations.
 */
#include "tensor/cpu/cpu.h"
#include "tensor/kernel.h"

static void table_task(void *arg, size_t index) {
  const struct rope_table *op = arg;
  size_t each = rows_per_task(op->half * 16), from = index * each;
  size_t to = size_min(op->rows, from + each);
  for (size_t t = from; t < to; t++) {
    float *c = op->table + t * 2 * op->half, *s = c + op->half;
    for (size_t i = 0; i < op->half; i++) {
      float angle = (float)op->positions[t] * op->inv_freq[i];
      c[i] = cosf(angle) * op->scale;
      s[i] = sinf(angle) * op->scale;
    }
  }
}

static int rope_table(struct device *d, const struct rope_table *op, struct err *err) {
  struct rope_table job = *op;
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->half * 16)), table_task, &job, err);
}

static void rotate(const struct rope *op, size_t from, size_t to) {
  size_t half = op->dim / 2;
  float sign = op->inverse ? -1.0f : 1.0f;
  for (size_t t = from; t < to; t++) {
    const float *restrict c = op->table + t * 2 * half, *restrict s = c + half;
    for (size_t h = 0; h < op->heads; h++) {
      float *restrict a = op->x + t * op->ld + h * op->dim, *restrict b = a + half;
      for (size_t i = 0; i < half; i++) {
        float x = a[i], y = b[i], sine = s[i] * sign;
        a[i] = x * c[i] - y * sine;
        b[i] = y * c[i] + x * sine;
      }
    }
  }
}

static void rotate_task(void *arg, size_t index) {
  const struct rope *op = arg;
  size_t each = rows_per_task(op->heads * op->dim), from = index * each;
  rotate(op, from, size_min(op->rows, from + each));
}

static int rope(struct device *d, const struct rope *op, struct err *err) {
  struct rope job = *op;
  if (op->dim % 2) return err_set(err, ERR_MISUSE, "rope needs heads of an even size");
  return cpu_run(d, ceil_div(op->rows, rows_per_task(op->heads * op->dim)), rotate_task, &job, err);
}

void CPU_OPS(rope)(struct device *d) {
  d->rope_table = rope_table;
  d->rope = rope;
}
