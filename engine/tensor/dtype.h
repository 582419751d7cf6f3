/* SPDX-License-Identifier: MIT */
/* Element types of tensors and files, and conversion between them.
 *
 * Most types are one element a block. Block types hold `block` elements in `bytes` bytes; a row's
 * length must then be a multiple of `block`:
 *
 *   Q8_0   32 elements in 34 bytes:  [ f16 scale ][ 32 × int8 ]     x = scale · q
 *
 * BF16 is the upper half of an IEEE binary32; F16 is IEEE binary16. Conversions from F32 round to
 * nearest, ties to even; NaN stays NaN (quiet), what is too large for F16 becomes infinity.
 * All values are little-endian in memory, as in safetensors and GGUF.
 */
#ifndef LATHE_TENSOR_DTYPE_H
#define LATHE_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype {
  DTYPE_F32 = 0,
  DTYPE_BF16,
  DTYPE_F16,
  DTYPE_I32,
  DTYPE_I64,
  DTYPE_U8,
  DTYPE_Q8_0,
  DTYPE_COUNT
};

struct dtype_info {
  const char *name; /* "f32", "bf16", "f16", "i32", "i64", "u8", "q8_0" */
  size_t block;     /* elements in a block; 1 for plain types */
  size_t bytes;     /* bytes in a block */
  bool is_float;    /* decodes to f32 by dtype_to_f32 */
};

const struct dtype_info *dtype_info(enum dtype type);
/* DTYPE_COUNT when there is none of that name (case matters not). */
enum dtype dtype_by_name(const char *name);

/* Bytes of `count` elements; count must be a multiple of the block. SIZE_MAX when that is not so
 * or the product overflows. */
size_t dtype_bytes(enum dtype type, size_t count);

/* Decodes n elements (a multiple of the block) of a float type. Vectorised; F32 is a copy. */
void dtype_to_f32(enum dtype type, const void *from, float *to, size_t n);

/* Encodes n elements to F32, BF16 or F16; false for a type that has no plain encoder (Q8_0: see
 * quant.h). */
bool dtype_from_f32(enum dtype type, const float *from, void *to, size_t n);

/* One value at a time; the reference for the vectorised ones. */
uint16_t bf16_from_f32(float v);
float bf16_to_f32(uint16_t v);
uint16_t f16_from_f32(float v);
float f16_to_f32(uint16_t v);

#endif
