/* SPDX-License-Identifier: MIT */
/* A few whole-tensor operations for the prompt and for tests: each makes its result, takes any
 * float type and computes in fp32 on the device. The training code uses the device directly. */
#ifndef LATHE_TENSOR_MATH_H
#define LATHE_TENSOR_MATH_H

#include "tensor/device.h"

/* out = op(a)·op(b): rank 2 each, f32 result; transposed: the last two dimensions swapped. A rank-1
 * `a` counts as one row. ERR_MISUSE when the shapes do not fit. `device` is host memory. */
int tensor_matmul(struct device *d, struct tensor *out, const struct tensor *a, bool transpose_a,
                  const struct tensor *b, bool transpose_b, struct err *err);

/* out = a + alpha·b: same shape, f32 result. */
int tensor_add(struct device *d, struct tensor *out, const struct tensor *a, const struct tensor *b,
               double alpha, struct err *err);

/* LoRA: out = x·Wᵀ + scale·(x·Aᵀ)·Bᵀ with x [rows, in], W [out, in], A [rank, in], B [out, rank],
 * as PEFT stores them; scale is alpha/rank. */
int tensor_lora(struct device *d, struct tensor *out, const struct tensor *x,
                const struct tensor *w, const struct tensor *a, const struct tensor *b,
                double scale, struct err *err);

#endif
