/* SPDX-License-Identifier: MIT */
/* Adding LoRA adapters to the weights they belong to: W + scale · B·A, row by row, from the mapped
 * files into a new one. Memory: A and B of one projection as f32, and one row.
 *
 * Each element is the sum over the rank in its order, in f32, times the scale, plus the weight,
 * then rounded once to the type of the new file: the result depends on the inputs only. */
#ifndef LATHE_FORMAT_MERGE_H
#define LATHE_FORMAT_MERGE_H

#include "format/safetensors.h"

/* base [out, in], a [rank, in], b [out, rank], float types; writes the tensor at hand of `w`, which
 * must have out × in elements. ERR_MISMATCH when the shapes do not fit. */
int merge_lora(struct safetensors_writer *w, const struct safetensors_tensor *base,
               const struct safetensors_tensor *a, const struct safetensors_tensor *b, double scale,
               struct err *err);

#endif
