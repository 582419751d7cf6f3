/* SPDX-License-Identifier: MIT */
/* Block quantisation; see quant.h. */
#include "tensor/quant.h"
#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

/* Half away from zero, for |v| well below 2^22; what is out of range (from a NaN or an infinity in
 * the block) becomes 0. Written without a call so that the loop vectorises; v + copysign(0.5, v)
 * would round 0.49999997 up, hence the comparison with the truncated value. */
static inline int round_away(float v) {
  if (!(v > -128.0f && v < 128.0f)) return 0; /* the largest gives 127 and a little */
  int t = (int)v;
  float rest = v - (float)t; /* exact */
  return t + (rest >= 0.5f) - (rest <= -0.5f);
}

static void block_q8_0(const float *x, unsigned char *out) {
  float most = 0;
  for (int i = 0; i < QUANT_Q8_0_BLOCK; i++) {
    float a = fabsf(x[i]);
    most = a > most ? a : most;
  }
  float d = most / 127.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  uint16_t scale = f16_from_f32(d);
  memcpy(out, &scale, 2);
  for (int i = 0; i < QUANT_Q8_0_BLOCK; i++)
    out[2 + i] = (unsigned char)(signed char)round_away(x[i] * inverse);
}

void quant_q8_0(const float *from, void *to, size_t n) {
  unsigned char *out = to;
  for (size_t i = 0; i + QUANT_Q8_0_BLOCK <= n; i += QUANT_Q8_0_BLOCK, out += QUANT_Q8_0_BYTES)
    block_q8_0(from + i, out);
}
