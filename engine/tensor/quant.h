/* SPDX-License-Identifier: MIT */
/* Block quantisation, byte for byte as ggml's reference does it.
 *
 *   Q8_0   32 floats → [ f16 scale ][ 32 × int8 ]     scale = max|x| / 127, q = round(x / scale)
 *
 * The scale is kept as f16, but q is computed with the f32 one; rounding is half away from zero
 * (roundf). Decoding is dtype_to_f32. Source: quantize_row_q8_0_ref in ggml-quants.c (MIT),
 * restated. */
#ifndef LATHE_TENSOR_QUANT_H
#define LATHE_TENSOR_QUANT_H

#include <stddef.h>

#define QUANT_Q8_0_BLOCK 32
#define QUANT_Q8_0_BYTES 34

/* n must be a multiple of 32. NaN and infinities give unspecified values, never undefined
 * behaviour. */
void quant_q8_0(const float *from, void *to, size_t n);

#endif
