/* SPDX-License-Identifier: MIT */
/* Element types; see dtype.h. The one-value conversions are branch-free, so that the loops over
 * them vectorise. */
#include "tensor/dtype.h"
#include "base/checked.h"
#include "tensor/kernel.h"

#include <strings.h>

static const struct dtype_info infos[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 1, 4, true},     [DTYPE_BF16] = {"bf16", 1, 2, true},
    [DTYPE_F16] = {"f16", 1, 2, true},     [DTYPE_I32] = {"i32", 1, 4, false},
    [DTYPE_I64] = {"i64", 1, 8, false},    [DTYPE_U8] = {"u8", 1, 1, false},
    [DTYPE_Q8_0] = {"q8_0", 32, 34, true},
};
static const struct dtype_info unknown = {"unknown", 1, 0, false};

#define Q8_BLOCK 32
#define Q8_BYTES 34

const struct dtype_info *dtype_info(enum dtype type) {
  return (unsigned)type < DTYPE_COUNT ? &infos[type] : &unknown;
}

enum dtype dtype_by_name(const char *name) {
  for (int i = 0; i < DTYPE_COUNT; i++)
    if (!strcasecmp(name, infos[i].name)) return (enum dtype)i;
  return DTYPE_COUNT;
}

size_t dtype_bytes(enum dtype type, size_t count) {
  const struct dtype_info *info = dtype_info(type);
  size_t bytes;
  if (count % info->block || !checked_mul(count / info->block, info->bytes, &bytes))
    return SIZE_MAX;
  return bytes;
}

INLINE uint32_t bits_of(float v) {
  uint32_t u;
  memcpy(&u, &v, sizeof u);
  return u;
}
INLINE float float_of(uint32_t u) {
  float v;
  memcpy(&v, &u, sizeof v);
  return v;
}

INLINE uint16_t to_bf16(float v) {
  uint32_t u = bits_of(v);
  uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
  return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}
INLINE float of_bf16(uint16_t v) {
  return float_of((uint32_t)v << 16);
}

/* Three cases, all computed: too large or NaN; subnormal in F16 (adding 0.5 aligns the mantissa so
 * that the adder rounds it); normal (round the 13 bits that go, carry into the exponent). */
INLINE uint16_t to_f16(float v) {
  uint32_t u = bits_of(v), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  uint32_t special = a > 0x7f800000 ? 0x7e00 : 0x7c00;
  uint32_t small = bits_of(float_of(a) + 0.5f) - 0x3f000000;
  uint32_t normal = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
  uint32_t h = a < 0x38800000 ? small : normal;
  return (uint16_t)(sign | (a >= 0x477ff000 ? special : h));
}
/* Shifted into place the exponent is 112 too small: a multiplication puts it right, and
 * normalises subnormals. */
INLINE float of_f16(uint16_t h) {
  uint32_t a = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
  uint32_t finite = bits_of(float_of(a) * 0x1p112f), special = a | 0x7f800000;
  return float_of(sign | ((h & 0x7c00) == 0x7c00 ? special : finite));
}

uint16_t bf16_from_f32(float v) {
  return to_bf16(v);
}
float bf16_to_f32(uint16_t v) {
  return of_bf16(v);
}
uint16_t f16_from_f32(float v) {
  return to_f16(v);
}
float f16_to_f32(uint16_t v) {
  return of_f16(v);
}

/* Mapped files may put 2-byte values at odd addresses, so elements are read with memcpy. */
INLINE uint16_t load16(const unsigned char *p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

KERNEL static void decode_bf16(const unsigned char *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = of_bf16(load16(from + 2 * i));
}
KERNEL static void decode_f16(const unsigned char *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = of_f16(load16(from + 2 * i));
}
KERNEL static void decode_q8_0(const unsigned char *from, float *to, size_t n) {
  for (size_t b = 0; b < n / Q8_BLOCK; b++, from += Q8_BYTES, to += Q8_BLOCK) {
    float scale = of_f16(load16(from));
    const signed char *q = (const signed char *)from + 2;
    for (int i = 0; i < Q8_BLOCK; i++) to[i] = scale * (float)q[i];
  }
}
KERNEL static void encode_bf16(const float *from, uint16_t *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = to_bf16(from[i]);
}
KERNEL static void encode_f16(const float *from, uint16_t *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = to_f16(from[i]);
}

void dtype_to_f32(enum dtype type, const void *from, float *to, size_t n) {
  if (!n) return;
  switch (type) {
  case DTYPE_F32:
    memmove(to, from, n * sizeof *to);
    return;
  case DTYPE_BF16:
    decode_bf16(from, to, n);
    return;
  case DTYPE_F16:
    decode_f16(from, to, n);
    return;
  case DTYPE_Q8_0:
    decode_q8_0(from, to, n);
    return;
  default:
    memset(to, 0, n * sizeof *to);
    return;
  }
}

bool dtype_from_f32(enum dtype type, const float *from, void *to, size_t n) {
  switch (type) {
  case DTYPE_F32:
    if (n) memmove(to, from, n * sizeof *from);
    return true;
  case DTYPE_BF16:
    encode_bf16(from, to, n);
    return true;
  case DTYPE_F16:
    encode_f16(from, to, n);
    return true;
  default:
    return false;
  }
}
